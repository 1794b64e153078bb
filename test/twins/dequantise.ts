import { UnsupportedError } from "#src/errors.js";
import type { TensorType } from "#src/formats/model-file.js";
import { bf16ToFloat, f16ToFloat } from "#src/matmul/numbers.js";
import { storedTypes } from "#src/matmul/stored-types.js";
import { dequantiseK } from "./dequantise-k.js";
import { dequantiseTernary } from "./dequantise-ternary.js";

/**
 * The numbers that stored blocks stand for, by the plain formulas of ggml-quants.c; every step rounded to f32 as there.
 * The twin of the repacking kernels, and good enough for tools.
 * @throws UnsupportedError for I2_S and HF_BITNET_U8, whose rows and columns are mixed (see `dequantiseI2S`)
 */
export function dequantise(type: TensorType, bytes: Uint8Array): Float32Array {
  const shape = storedTypes[type].block;
  if (!shape) throw new UnsupportedError(`${type} has no blocks`);
  const blocks = bytes.byteLength / shape.bytes;
  const out = new Float32Array(blocks * shape.values);
  for (let b = 0; b < blocks; b++) {
    const block = new DataView(bytes.buffer, bytes.byteOffset + b * shape.bytes, shape.bytes);
    const values = out.subarray(b * shape.values, (b + 1) * shape.values);
    if (shape.values === 1)
      values[0] =
        type === "F32"
          ? block.getFloat32(0, true)
          : (type === "F16" ? f16ToFloat : bf16ToFloat)(block.getUint16(0, true));
    else if (shape.values === 32) dequantise32(type, block, values);
    else if (type === "TQ1_0" || type === "TQ2_0") dequantiseTernary(type, block, values);
    else dequantiseK(type, block, values);
  }
  return out;
}

function dequantise32(type: TensorType, block: DataView, out: Float32Array): void {
  const d = f16ToFloat(block.getUint16(0, true));
  if (type === "Q8_0") {
    for (let i = 0; i < 32; i++) out[i] = d * block.getInt8(2 + i);
    return;
  }
  const hasMin = type === "Q4_1" || type === "Q5_1";
  const five = type === "Q5_0" || type === "Q5_1";
  const highAt = hasMin ? 4 : 2;
  const nibbles = highAt + (five ? 4 : 0);
  const high = five ? block.getUint32(highAt, true) : 0;
  const m = hasMin ? f16ToFloat(block.getUint16(2, true)) : 0;
  const zero = hasMin ? 0 : five ? 16 : 8;
  for (let i = 0; i < 32; i++) {
    const byte = block.getUint8(nibbles + (i & 15));
    const code = (i < 16 ? byte & 15 : byte >> 4) | (((high >>> i) & 1) << 4);
    out[i] = hasMin ? Math.fround(d * code) + m : d * (code - zero);
  }
}
