// GGUF blocks of 32 into their layouts. `source`: rows `firstRow …` of the file. The f16 scales must be finite: the
// result is −1, or the offset from `source` of the first block whose scale is not.
import { Repack } from "../../abi/repack";
import { packCodes, packNibbles, packQ8Block, placeOfRow } from "./pack";
import { floatFromF16 } from "../numbers";

// @ts-ignore: decorator
@inline
export function isFinite16(bits: u32): bool {
  return (bits & 0x7c00) != 0x7c00;
}

/** Q4_0 to `q4`. */
export function repack_q4_0(job: Repack): i32 {
  const weights = job.weights;
  let source = job.source;
  const rows = job.rows;
  const columns = job.columns;
  const firstRow = job.firstRow;
  const headDim = job.headDim;
  const start = source;
  const blocks = columns >> 5;
  for (let i = 0; i < rows; i++) {
    const row = placeOfRow(firstRow + i, headDim);
    let block = weights + <usize>(row >> 3) * blocks * 144;
    for (let b = 0; b < blocks; b++, block += 144, source += 18) {
      const d = load<u16>(source);
      if (!isFinite16(d)) return <i32>(source - start);
      store<u16>(block + ((row & 7) << 1), d);
      packNibbles(block + 16, row & 7, source + 2);
    }
  }
  return -1;
}

/** Q4_1 to `q4min`. */
export function repack_q4_1(job: Repack): i32 {
  const weights = job.weights;
  let source = job.source;
  const rows = job.rows;
  const columns = job.columns;
  const firstRow = job.firstRow;
  const headDim = job.headDim;
  const start = source;
  const blocks = columns >> 5;
  for (let i = 0; i < rows; i++) {
    const row = placeOfRow(firstRow + i, headDim);
    let block = weights + <usize>(row >> 3) * blocks * 160;
    for (let b = 0; b < blocks; b++, block += 160, source += 20) {
      const d = load<u16>(source);
      const m = load<u16>(source, 2);
      if (!isFinite16(d) || !isFinite16(m)) return <i32>(source - start);
      store<u16>(block + ((row & 7) << 1), d);
      store<u16>(block + ((row & 7) << 1), m, 16);
      packNibbles(block + 32, row & 7, source + 4);
    }
  }
  return -1;
}

/** Q8_0 to `q8`. */
export function repack_q8_0(job: Repack): i32 {
  const weights = job.weights;
  let source = job.source;
  const rows = job.rows;
  const columns = job.columns;
  const firstRow = job.firstRow;
  const headDim = job.headDim;
  const start = source;
  const blocks = columns >> 5;
  for (let i = 0; i < rows; i++) {
    const row = placeOfRow(firstRow + i, headDim);
    let block = weights + <usize>(row >> 3) * blocks * 272;
    for (let b = 0; b < blocks; b++, block += 272, source += 34) {
      const d = load<u16>(source);
      if (!isFinite16(d)) return <i32>(source - start);
      packQ8Block(block, row & 7, d, source + 2);
    }
  }
  return -1;
}

/** Five-bit codes of one block, 0 … 31, to 32 bytes. */
// @ts-ignore: decorator
@inline
function unpack5(to: usize, high: u32, nibbles: usize): void {
  for (let j = 0; j < 16; j++) {
    const byte = <i32>load<u8>(nibbles + j);
    store<u8>(to + j, (byte & 15) | (((high >> j) & 1) << 4));
    store<u8>(to + j, (byte >> 4) | (((high >> (j + 16)) & 1) << 4), 16);
  }
}

/** Q5_0 to `q8`: codes −16 … 15 with the same scale. */
export function repack_q5_0(job: Repack): i32 {
  const weights = job.weights;
  let source = job.source;
  const rows = job.rows;
  const columns = job.columns;
  const firstRow = job.firstRow;
  const headDim = job.headDim;
  const temp = job.temp;
  const start = source;
  const blocks = columns >> 5;
  for (let i = 0; i < rows; i++) {
    const row = placeOfRow(firstRow + i, headDim);
    let block = weights + <usize>(row >> 3) * blocks * 272;
    for (let b = 0; b < blocks; b++, block += 272, source += 22) {
      const d = load<u16>(source);
      if (!isFinite16(d)) return <i32>(source - start);
      unpack5(temp, load<u32>(source, 2), source + 6);
      v128.store(temp, i8x16.sub(v128.load(temp), i8x16.splat(16)));
      v128.store(temp, i8x16.sub(v128.load(temp, 16), i8x16.splat(16)), 16);
      packQ8Block(block, row & 7, d, temp);
    }
  }
  return -1;
}

/** Q5_1 to `codes`. */
export function repack_q5_1(job: Repack): i32 {
  const weights = job.weights;
  let source = job.source;
  const rows = job.rows;
  const columns = job.columns;
  const firstRow = job.firstRow;
  const headDim = job.headDim;
  const temp = job.temp;
  const start = source;
  const blocks = columns >> 5;
  for (let i = 0; i < rows; i++) {
    const row = placeOfRow(firstRow + i, headDim);
    let half = weights + <usize>(row >> 3) * blocks * 384;
    for (let b = 0; b < blocks; b++, half += 384, source += 24) {
      const d = load<u16>(source);
      const m = load<u16>(source, 2);
      if (!isFinite16(d) || !isFinite16(m)) return <i32>(source - start);
      unpack5(temp, load<u32>(source, 4), source + 8);
      packCodes(half, row & 7, floatFromF16(d), floatFromF16(m), temp);
      packCodes(half + 192, row & 7, floatFromF16(d), floatFromF16(m), temp + 16);
    }
  }
  return -1;
}
