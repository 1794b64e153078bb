import type { I2SLayout, TensorType } from "#src/formats/model-file.js";
import { f16ToFloat } from "#src/matmul/numbers.js";

/** One TQ1_0 or TQ2_0 block of 256 values. */
export function dequantiseTernary(type: TensorType, block: DataView, out: Float32Array): void {
  const two = type === "TQ2_0";
  const d = f16ToFloat(block.getUint16(two ? 64 : 52, true));
  for (let e = 0; e < 256; e++) {
    let code: number;
    if (two) code = (block.getUint8((e >> 7) * 32 + (e & 31)) >> (2 * ((e >> 5) & 3))) & 3;
    else if (e < 160) code = trit(block.getUint8(e % 32), Math.floor(e / 32));
    else if (e < 240) code = trit(block.getUint8(32 + ((e - 160) % 16)), Math.floor((e - 160) / 16));
    else code = trit(block.getUint8(48 + ((e - 240) % 4)), Math.floor((e - 240) / 4));
    out[e] = (code - 1) * d;
  }
}

/** Digit `n` of a byte that holds five base-3 digits as a fraction. */
function trit(byte: number, n: number): number {
  return (((byte * 3 ** n) & 255) * 3) >> 8;
}

/** Code − 1 of element (row, column) of an I2_S matrix: −1, 0, 1, or 2 for the code that must not occur. */
export function i2sValue(bytes: Uint8Array, layout: I2SLayout, columns: number, row: number, column: number): number {
  let byte: number;
  let shift: number;
  if (layout === "rows4") {
    byte = (row >> 2) * columns + column;
    shift = 6 - 2 * (row & 3);
  } else {
    const block = layout === "block64" ? 64 : 128;
    const quarter = block / 4;
    const element = row * columns + column;
    const inBlock = element % block;
    byte = Math.floor(element / block) * quarter + (inBlock % quarter);
    shift = 6 - 2 * Math.floor(inBlock / quarter);
  }
  return (((bytes[byte] as number) >> shift) & 3) - 1;
}

/** An I2_S matrix with its scale, the f32 behind the codes. Row-major. */
export function dequantiseI2S(bytes: Uint8Array, layout: I2SLayout, rows: number, columns: number): Float32Array {
  const scale = new DataView(bytes.buffer, bytes.byteOffset + (rows * columns) / 4, 4).getFloat32(0, true);
  return Float32Array.from(
    { length: rows * columns },
    (_, i) => scale * i2sValue(bytes, layout, columns, Math.floor(i / columns), i % columns),
  );
}

/** A Hugging Face packed ternary matrix, `bytes` being `[⌈rows / 4⌉][columns]`. Row-major, without scale. */
export function dequantisePackedRows(bytes: Uint8Array, rows: number, columns: number): Float32Array {
  const quarter = Math.ceil(rows / 4);
  return Float32Array.from({ length: rows * columns }, (_, i) => {
    const row = Math.floor(i / columns);
    const byte = bytes[(row % quarter) * columns + (i % columns)] as number;
    return ((byte >> (2 * Math.floor(row / quarter))) & 3) - 1;
  });
}
