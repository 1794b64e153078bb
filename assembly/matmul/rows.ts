// Rows of a stored matrix as f32: the embedding look-up.
import { scaleOf } from "./ternary-blocks";
import { BF16, F16, F32, floatBytes, floatFromF16, loadFloat } from "./numbers";

/** What an id outside the matrix gives. */
// @ts-ignore: decorator
@inline
function zeroRow(out: usize, columns: i32): void {
  memory.fill(out, 0, (<usize>columns) << 2);
}

/** Code of a ternary matrix, 0 … 2. */
// @ts-ignore: decorator
@inline
export function ternaryCode(weights: usize, padded: i32, row: i32, column: i32): i32 {
  const unit = weights + <usize>(row >> 3) * (padded << 1) + ((<usize>column >> 4) << 5);
  return (<i32>load<u8>(unit + ((row & 7) << 2) + (column & 3)) >> ((column & 12) >> 1)) & 3;
}

/** Layout `ternary`: out f32 [tokens][columns] = scale · (code − 1), or with the scale of each 256 columns if `blockScales` ≠ 0. */
export function rows_ternary(
  out: usize, weights: usize, ids: usize, tokens: i32, rows: i32, columns: i32, scale: f32, blockScales: usize,
): void {
  const padded = (columns + 31) & ~31;
  for (let t = 0; t < tokens; t++, out += (<usize>columns) << 2) {
    const row = load<i32>(ids + (t << 2));
    if (<u32>row >= <u32>rows) {
      zeroRow(out, columns);
      continue;
    }
    for (let c = 0; c < columns; c++) {
      const factor = blockScales
        ? load<f32>(scaleOf(blockScales, row, (columns + 255) >> 8, c >> 8))
        : scale;
      store<f32>(out + ((<usize>c) << 2), <f32>(ternaryCode(weights, padded, row, c) - 1) * factor);
    }
  }
}

/** Layouts `q4` (kind 0), `q4min` (1), `q4k` (2): out f32 [tokens][columns]. */
export function rows_q4(
  out: usize, weights: usize, ids: usize, tokens: i32, rows: i32, columns: i32, kind: i32,
): void {
  const padded = (columns + 31) & ~31;
  const parameterBytes = 16 << kind;
  const blockBytes = 128 + parameterBytes;
  for (let t = 0; t < tokens; t++, out += (<usize>columns) << 2) {
    const row = load<i32>(ids + (t << 2));
    if (<u32>row >= <u32>rows) {
      zeroRow(out, columns);
      continue;
    }
    const lane = row & 7;
    const group = weights + <usize>(row >> 3) * (padded >> 5) * blockBytes;
    for (let c = 0; c < columns; c++) {
      const block = group + <usize>(c >> 5) * blockBytes;
      const byte = <i32>load<u8>(block + parameterBytes + (((c & 15) >> 2) << 5) + (lane << 2) + (c & 3));
      const code = c & 16 ? byte >> 4 : byte & 15;
      let value: f32;
      if (kind == 0) value = floatFromF16(load<u16>(block + (lane << 1))) * <f32>(<i32>code - 8);
      else if (kind == 1)
        value =
          floatFromF16(load<u16>(block + (lane << 1))) * <f32>code + floatFromF16(load<u16>(block + 16 + (lane << 1)));
      else value = load<f32>(block + (lane << 2)) * <f32>code + load<f32>(block + 32 + (lane << 2));
      store<f32>(out + ((<usize>c) << 2), value);
    }
  }
}

/** Layout `q8`: out f32 [tokens][columns]. */
export function rows_q8(out: usize, weights: usize, ids: usize, tokens: i32, rows: i32, columns: i32): void {
  const padded = (columns + 31) & ~31;
  for (let t = 0; t < tokens; t++, out += (<usize>columns) << 2) {
    const row = load<i32>(ids + (t << 2));
    if (<u32>row >= <u32>rows) {
      zeroRow(out, columns);
      continue;
    }
    const lane = row & 7;
    const group = weights + <usize>(row >> 3) * (padded >> 5) * 272;
    for (let c = 0; c < columns; c++) {
      const block = group + <usize>(c >> 5) * 272;
      const pair = (((c & 31) >> 2) << 1) + (c & 1);
      const code = load<i8>(block + 16 + (pair << 4) + (lane << 1) + ((c & 2) >> 1));
      store<f32>(out + ((<usize>c) << 2), floatFromF16(load<u16>(block + (lane << 1))) * <f32>code);
    }
  }
}

/** Layout `q6`: out f32 [tokens][columns] = (d · sc) · (code − 32). */
export function rows_q6(out: usize, weights: usize, ids: usize, tokens: i32, rows: i32, columns: i32): void {
  const padded = (columns + 31) & ~31;
  for (let t = 0; t < tokens; t++, out += (<usize>columns) << 2) {
    const row = load<i32>(ids + (t << 2));
    if (<u32>row >= <u32>rows) {
      zeroRow(out, columns);
      continue;
    }
    const lane = row & 7;
    const group = weights + <usize>(row >> 3) * (padded >> 5) * 224;
    for (let c = 0; c < columns; c++) {
      const block = group + <usize>(c >> 5) * 224;
      const half = (c >> 4) & 1;
      const codes = block + 32 + half * 96 + (lane << 2) + (c & 3);
      const quad = (c & 12) >> 2;
      let code: i32;
      if (quad < 3) code = <i32>load<u8>(codes + (quad << 5)) & 63;
      else
        code =
          (<i32>load<u8>(codes) >> 6) |
          ((<i32>load<u8>(codes, 32) >> 6) << 2) |
          ((<i32>load<u8>(codes, 64) >> 6) << 4);
      const scale: f32 = floatFromF16(load<u16>(block + (lane << 1))) * <f32>load<i8>(block + 16 + (half << 3) + lane);
      store<f32>(out + ((<usize>c) << 2), scale * <f32>(code - 32));
    }
  }
}

/** Layout `codes`: out f32 [tokens][columns]. */
export function rows_codes(out: usize, weights: usize, ids: usize, tokens: i32, rows: i32, columns: i32): void {
  const padded = (columns + 31) & ~31;
  for (let t = 0; t < tokens; t++, out += (<usize>columns) << 2) {
    const row = load<i32>(ids + (t << 2));
    if (<u32>row >= <u32>rows) {
      zeroRow(out, columns);
      continue;
    }
    const lane = row & 7;
    const group = weights + <usize>(row >> 3) * (padded >> 4) * 192;
    for (let c = 0; c < columns; c++) {
      const half = group + <usize>(c >> 4) * 192;
      const code = <i32>load<u8>(half + 64 + (((c & 15) >> 2) << 5) + (lane << 2) + (c & 3));
      store<f32>(
        out + ((<usize>c) << 2),
        load<f32>(half + (lane << 2)) * <f32>code + load<f32>(half + 32 + (lane << 2)),
      );
    }
  }
}

/** Layouts `f32` (type 0), `f16` (1), `bf16` (2): out f32 [tokens][columns]. */
export function rows_float(
  out: usize, weights: usize, ids: usize, tokens: i32, rows: i32, columns: i32, type: i32,
): void {
  const size = floatBytes(type);
  for (let t = 0; t < tokens; t++, out += (<usize>columns) << 2) {
    const row = load<i32>(ids + (t << 2));
    if (<u32>row >= <u32>rows) {
      zeroRow(out, columns);
      continue;
    }
    let at = weights + (<usize>(row >> 3) * columns * 8 + (row & 7)) * size;
    for (let c = 0; c < columns; c++, at += 8 * size) {
      const value = type == F32 ? load<f32>(at) : type == F16 ? loadFloat(F16, at) : loadFloat(BF16, at);
      store<f32>(out + ((<usize>c) << 2), value);
    }
  }
}
