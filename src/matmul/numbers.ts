/** f16 bits as a number, exactly. */
export function f16ToFloat(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  const sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1024 + mantissa) * 2 ** (exponent - 25);
}

const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);

/** bf16 bits as a number, exactly. */
export function bf16ToFloat(bits: number): number {
  word[0] = bits << 16;
  return float[0] as number;
}

/** Nearest bf16 of an f32, ties to even, as a number. */
export function roundToBf16(x: number): number {
  float[0] = x;
  const bits = word[0] as number;
  word[0] = bits + 0x7fff + ((bits >>> 16) & 1);
  return bf16ToFloat((word[0] as number) >>> 16);
}
