import type { TensorInfo } from "./model-file.js";

/** Reads a small tensor of type F32, F16 or BF16 as numbers. For scales and other vectors, not for matrices. */
export async function readPlainValues(tensor: TensorInfo, signal?: AbortSignal): Promise<Float32Array> {
  const bytes = await tensor.source.read(tensor.offset, tensor.byteLength, signal);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (tensor.type === "F32") {
    return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
  }
  const convert = tensor.type === "BF16" ? bf16 : f16;
  return Float32Array.from({ length: bytes.length / 2 }, (_, i) => convert(view.getUint16(2 * i, true)));
}

const word = new DataView(new ArrayBuffer(4));

/** The number a bfloat16 stands for. */
export function bf16(bits: number): number {
  word.setUint32(0, bits << 16);
  return word.getFloat32(0);
}

/** The number an IEEE half stands for. */
export function f16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}
