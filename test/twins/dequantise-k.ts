import type { TensorType } from "#src/formats/model-file.js";
import { f16ToFloat } from "#src/matmul/numbers.js";

const { fround } = Math;

/** One K block of 256 values. */
export function dequantiseK(type: TensorType, block: DataView, out: Float32Array): void {
  if (type === "Q2_K") q2(block, out);
  else if (type === "Q3_K") q3(block, out);
  else if (type === "Q6_K") q6(block, out);
  else q45(type === "Q5_K", block, out);
}

/** 6-bit scale and minimum of sub-block `s`, packed in 12 bytes. */
function scaleMin(block: DataView, s: number): [scale: number, min: number] {
  const at = (i: number) => block.getUint8(4 + i);
  if (s < 4) return [at(s) & 63, at(s + 4) & 63];
  return [(at(s + 4) & 15) | ((at(s - 4) >> 6) << 4), (at(s + 4) >> 4) | ((at(s) >> 6) << 4)];
}

function q45(five: boolean, block: DataView, out: Float32Array): void {
  const d = f16ToFloat(block.getUint16(0, true));
  const dmin = f16ToFloat(block.getUint16(2, true));
  for (let i = 0; i < 256; i++) {
    const s = i >> 5;
    const [scale, min] = scaleMin(block, s);
    const byte = block.getUint8((five ? 48 : 16) + (s >> 1) * 32 + (i & 31));
    const high = five ? (block.getUint8(16 + (i & 31)) >> s) & 1 : 0;
    const code = (s & 1 ? byte >> 4 : byte & 15) | (high << 4);
    out[i] = fround(fround(d * scale) * code) - fround(dmin * min);
  }
}

function q6(block: DataView, out: Float32Array): void {
  const d = f16ToFloat(block.getUint16(208, true));
  for (let i = 0; i < 256; i++) {
    const half = i >> 7;
    const quarter = (i >> 5) & 3;
    const low = block.getUint8(half * 64 + (quarter & 1) * 32 + (i & 31));
    const high = (block.getUint8(128 + half * 32 + (i & 31)) >> (2 * quarter)) & 3;
    const code = (quarter < 2 ? low & 15 : low >> 4) | (high << 4);
    out[i] = fround(d * block.getInt8(192 + (i >> 4))) * (code - 32);
  }
}

function q2(block: DataView, out: Float32Array): void {
  const d = f16ToFloat(block.getUint16(80, true));
  const dmin = f16ToFloat(block.getUint16(82, true));
  for (let i = 0; i < 256; i++) {
    const parameters = block.getUint8(i >> 4);
    const code = (block.getUint8(16 + (i >> 7) * 32 + (i & 31)) >> (2 * ((i >> 5) & 3))) & 3;
    out[i] = fround(fround(d * (parameters & 15)) * code) - fround(dmin * (parameters >> 4));
  }
}

function q3(block: DataView, out: Float32Array): void {
  const d = f16ToFloat(block.getUint16(108, true));
  for (let i = 0; i < 256; i++) {
    const s = i >> 4;
    const low = (block.getUint8(96 + (s & 7)) >> (4 * (s >> 3))) & 15;
    const high = (block.getUint8(104 + (s & 3)) >> (2 * (s >> 2))) & 3;
    const scale = fround(d * ((low | (high << 4)) - 32));
    const two = (block.getUint8(32 + (i >> 7) * 32 + (i & 31)) >> (2 * ((i >> 5) & 3))) & 3;
    const third = (block.getUint8(i & 31) >> (i >> 5)) & 1;
    out[i] = scale * ((two | (third << 2)) - 4);
  }
}
