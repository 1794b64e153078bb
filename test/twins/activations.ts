const { fround, abs, max, floor } = Math;

/** Nearest integer, ties to even. */
export function roundHalfEven(x: number): number {
  const below = floor(x);
  const rest = x - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below;
}

function padded(columns: number): number {
  return Math.ceil(columns / 32) * 32;
}

/** Codes as the kernels store them: bytes in order, then 16 bits in the order 0, 2, 1, 3 of every four. */
function codeBytes(codes: number[], columns: number): Uint8Array {
  const count = padded(columns);
  const bytes = new Int8Array(count);
  bytes.set(codes);
  const pairs = new Int16Array(count);
  for (let i = 0; i < count; i++) pairs[i] = bytes[(i & ~3) + ([0, 2, 1, 3][i & 3] as number)] as number;
  const out = new Uint8Array(3 * count);
  out.set(new Uint8Array(bytes.buffer));
  out.set(new Uint8Array(pairs.buffer), count);
  return out;
}

/** The record of one token, one scale for all columns. */
export function quantisePerToken(x: Float32Array): Uint8Array {
  const largest = x.reduce((top, value) => max(top, abs(value)), 0);
  const scale = fround(127 / max(largest, fround(1e-5)));
  const codes = Array.from(x, (value) => roundHalfEven(fround(value * scale)));
  const out = new Uint8Array(16 + 3 * padded(x.length));
  const view = new DataView(out.buffer);
  view.setFloat32(0, scale, true);
  view.setInt32(
    4,
    codes.reduce((sum, code) => sum + code, 0),
    true,
  );
  out.set(codeBytes(codes, x.length), 16);
  return out;
}

/** The record of one token, one scale per 32 columns, without the unused bytes at its end. */
export function quantisePerBlock(x: Float32Array): Uint8Array {
  const blocks = padded(x.length) / 32;
  const codes: number[] = [];
  const parameters = new Float32Array(blocks * 4);
  for (let b = 0; b < blocks; b++) {
    const block = x.subarray(b * 32, (b + 1) * 32);
    const largest = block.reduce((top, value) => max(top, abs(value)), 0);
    const factor = largest < fround(1e-30) ? 0 : fround(127 / largest);
    const own = Array.from(block, (value) => roundHalfEven(fround(value * factor)));
    const sum = (part: number[]) => part.reduce((total, code) => total + code, 0);
    parameters.set([fround(largest / 127), sum(own), sum(own.slice(0, 16)), sum(own.slice(16))], b * 4);
    codes.push(...own);
  }
  const out = new Uint8Array(3 * padded(x.length) + blocks * 16);
  out.set(codeBytes(codes, x.length));
  out.set(new Uint8Array(parameters.buffer), 3 * padded(x.length));
  return out;
}
