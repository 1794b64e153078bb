import { layouts } from "#src/matmul/layouts/index.js";
import { paddedColumns } from "#src/matmul/layouts/layout.js";
import { bf16ToFloat, f16ToFloat } from "#src/matmul/numbers.js";
import type { Weight } from "#src/matmul/weight.js";

const { fround } = Math;

/** One block of a row: codes with the numbers that make values of them. */
interface Block {
  columns: number;
  codes: number[];
  d: number;
  m: number;
  hasMin: boolean;
}

/** The blocks of a row as the layouts of layout.ts say; floats and ternary rows are one block. */
function rowBlocks(weight: Weight, memory: DataView, row: number): Block[] {
  const { layout, columns } = weight;
  const group = weight.address + Math.floor(row / 8) * layouts[layout].groupBytes(columns);
  const lane = row % 8;
  const f16 = (at: number) => f16ToFloat(memory.getUint16(at, true));
  const f32 = (at: number) => memory.getFloat32(at, true);
  const list = <T>(count: number, value: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => value(i));
  switch (layout) {
    case "f32":
      return [whole(list(columns, (c) => f32(group + (c * 8 + lane) * 4)))];
    case "f16":
      return [whole(list(columns, (c) => f16(group + (c * 8 + lane) * 2)))];
    case "bf16":
      return [whole(list(columns, (c) => bf16ToFloat(memory.getUint16(group + (c * 8 + lane) * 2, true))))];
    case "ternary":
      return [
        whole(
          list(columns, (c) => {
            const byte = memory.getUint8(group + Math.floor(c / 16) * 32 + lane * 4 + (c % 4));
            return ((byte >> (2 * (Math.floor(c / 4) % 4))) & 3) - 1;
          }),
        ),
      ];
    case "ternary-lut":
      return [whole(list(columns, (c) => lutCode(weight, memory, row, c) - 1))];
    case "q8":
      return list(paddedColumns(columns) / 32, (b) => {
        const at = group + b * 272;
        const codes = list(32, (c) => {
          const pair = Math.floor(c / 4) * 2 + (c % 2);
          return memory.getInt8(at + 16 + pair * 16 + lane * 2 + (Math.floor(c / 2) % 2));
        });
        return { columns: 32, codes, d: f16(at + lane * 2), m: 0, hasMin: false };
      });
    case "q6":
      return list(paddedColumns(columns) / 16, (h) => {
        const at = group + Math.floor(h / 2) * 224;
        const half = h % 2;
        const codes = list(16, (c) => {
          const quad = Math.floor(c / 4);
          const byte = (i: number) => memory.getUint8(at + 32 + half * 96 + i * 32 + lane * 4 + (c % 4));
          if (quad < 3) return byte(quad) & 63;
          return (byte(0) >> 6) | ((byte(1) >> 6) << 2) | ((byte(2) >> 6) << 4);
        });
        const d = fround(f16(at + lane * 2) * memory.getInt8(at + 16 + half * 8 + lane));
        return { columns: 16, codes: codes.map((code) => code - 32), d, m: 0, hasMin: false };
      });
    case "codes":
      return list(paddedColumns(columns) / 16, (b) => {
        const at = group + b * 192;
        const codes = list(16, (c) => memory.getUint8(at + 64 + Math.floor(c / 4) * 32 + lane * 4 + (c % 4)));
        return { columns: 16, codes, d: f32(at + lane * 4), m: f32(at + 32 + lane * 4), hasMin: true };
      });
    default: {
      const start = layout === "q4" ? 16 : layout === "q4min" ? 32 : 64;
      return list(paddedColumns(columns) / 32, (b) => {
        const at = group + b * (start + 128);
        const codes = list(32, (c) => {
          const byte = memory.getUint8(at + start + Math.floor((c % 16) / 4) * 32 + lane * 4 + (c % 4));
          return c < 16 ? byte & 15 : byte >> 4;
        });
        const d = layout === "q4k" ? f32(at + lane * 4) : f16(at + lane * 2);
        if (layout === "q4") return { columns: 32, codes: codes.map((code) => code - 8), d, m: 0, hasMin: false };
        const m = layout === "q4min" ? f16(at + 16 + lane * 2) : f32(at + 32 + lane * 4);
        return { columns: 32, codes, d, m, hasMin: true };
      });
    }
  }
}

/** The code of one weight in layout `ternary-lut`. */
function lutCode({ address, rows, columns }: Weight, memory: DataView, row: number, column: number): number {
  const padded = paddedColumns(columns);
  const [panel, block] = [row - (row % 1024), column - (column % 512)];
  const [panelRows, width] = [Math.min(1024, rows - panel), Math.min(512, padded - block)];
  const tile = ((panel * padded + panelRows * block) >> 2) + ((((row - panel) >> 5) * 32 * width) >> 2);
  const unit = tile + Math.floor((column - block) / 16) * 128 + (column % 4) * 32 + (row & 16);
  const byte = memory.getUint8(
    address + unit + [0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15].indexOf(row % 16),
  );
  return (byte >> (2 * (Math.floor(column / 4) % 4))) & 3;
}

function whole(codes: number[]): Block {
  return { columns: codes.length, codes, d: 1, m: 0, hasMin: false };
}

/**
 * weight · x for one token, number by number as the kernels define it: `record` is the token's quantised activations
 * (`quantisePerToken`, `quantisePerBlock`), or its f32 numbers for float weights.
 */
export function product(weight: Weight, memory: DataView, record: Uint8Array): Float32Array {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  const { layout, rows, columns } = weight;
  const padded = paddedColumns(columns);
  return Float32Array.from({ length: rows }, (_, row) => {
    const blocks = rowBlocks(weight, memory, row);
    if (layout === "ternary" || layout === "ternary-lut") {
      const codes = (blocks[0] as Block).codes;
      if (weight.blockScales !== undefined) {
        const count = Math.ceil(columns / 256);
        let total = 0;
        for (let b = 0; b < count; b++) {
          let sum = 0;
          for (let c = b * 256; c < Math.min((b + 1) * 256, columns); c++)
            sum += (codes[c] as number) * view.getInt8(16 + c);
          const at = weight.blockScales + (Math.floor(row / 8) * count * 8 + b * 8 + (row % 8)) * 4;
          total = fround(total + fround(sum * memory.getFloat32(at, true)));
        }
        return fround(total / view.getFloat32(0, true));
      }
      const sum = codes.reduce((total, code, c) => total + code * view.getInt8(16 + c), 0);
      return fround(fround(sum * weight.scale) / view.getFloat32(0, true));
    }
    if (layout === "f16" || layout === "bf16" || layout === "f32") {
      const sums = [0, 0];
      (blocks[0] as Block).codes.forEach((value, c) => {
        sums[c % 2] = fround((sums[c % 2] as number) + fround(value * view.getFloat32(c * 4, true)));
      });
      return fround((sums[0] as number) + (sums[1] as number));
    }
    let total = 0;
    let column = 0;
    for (const { columns: count, codes, d, m, hasMin } of blocks) {
      const xScale = view.getFloat32(3 * padded + Math.floor(column / 32) * 16, true);
      let dot = 0;
      let sum = 0;
      codes.forEach((code, c) => {
        dot += code * view.getInt8(column + c);
        sum += view.getInt8(column + c);
      });
      const scaled = fround(fround(dot) * d);
      total = fround(total + fround((hasMin ? fround(scaled + fround(sum * m)) : scaled) * xScale));
      column += count;
    }
    return total;
  });
}
