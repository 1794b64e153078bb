// GGUF blocks into their layouts. `source`: rows `firstRow …` of the file. The f16 scales must be finite: the result is −1,
// or the offset from `source` of the first block whose scale is not. One driver; only what becomes of a block differs.
import { Repack } from "../../abi/repack";
import { q4_0, q4_1, q5_0, q5_1, q8_0 } from "./blocks";
import { q2_k, q3_k, q4_k, q5_k, q6_k } from "./k-blocks";
import { placeOfRow } from "./pack";

const Q4_0: i32 = 0;
const Q4_1: i32 = 1;
const Q5_0: i32 = 2;
const Q5_1: i32 = 3;
const Q8_0: i32 = 4;
const Q2_K: i32 = 5;
const Q3_K: i32 = 6;
const Q4_K: i32 = 7;
const Q5_K: i32 = 8;
const Q6_K: i32 = 9;

/** Bytes of a block in the file. */
// @ts-ignore: decorator
@inline
function sourceBytes(type: i32): usize {
  if (type == Q4_0) return 18;
  if (type == Q4_1) return 20;
  if (type == Q5_0) return 22;
  if (type == Q5_1) return 24;
  if (type == Q8_0) return 34;
  if (type == Q2_K) return 84;
  if (type == Q3_K) return 110;
  if (type == Q4_K) return 144;
  if (type == Q5_K) return 176;
  return 210;
}

/** Bytes of as many columns of 8 rows in the layout. */
// @ts-ignore: decorator
@inline
function blockBytes(type: i32): usize {
  if (type == Q4_0) return 144;
  if (type == Q4_1) return 160;
  if (type == Q5_0) return 272;
  if (type == Q5_1) return 384;
  if (type == Q8_0) return 272;
  if (type == Q2_K) return 3072;
  if (type == Q3_K) return 1792;
  if (type == Q4_K) return 1536;
  if (type == Q5_K) return 3072;
  return 1792;
}

// @ts-ignore: decorator
@inline
function repackBlock(type: i32, block: usize, lane: i32, source: usize, temp: usize): bool {
  if (type == Q4_0) return q4_0(block, lane, source);
  if (type == Q4_1) return q4_1(block, lane, source);
  if (type == Q5_0) return q5_0(block, lane, source, temp);
  if (type == Q5_1) return q5_1(block, lane, source, temp);
  if (type == Q8_0) return q8_0(block, lane, source);
  if (type == Q2_K) return q2_k(block, lane, source, temp);
  if (type == Q3_K) return q3_k(block, lane, source, temp);
  if (type == Q4_K) return q4_k(block, lane, source, temp);
  if (type == Q5_K) return q5_k(block, lane, source, temp);
  return q6_k(block, lane, source, temp);
}

// @ts-ignore: decorator
@inline
function repack(type: i32, job: Repack): i32 {
  const rows = job.rows;
  const temp = job.temp;
  const start = job.source;
  const blocks = job.columns >> (type < Q2_K ? 5 : 8);
  let source = start;
  for (let i = 0; i < rows; i++) {
    const row = placeOfRow(job.firstRow + i, job.headDim);
    let block = job.weights + <usize>(row >> 3) * blocks * blockBytes(type);
    for (let b = 0; b < blocks; b++, block += blockBytes(type), source += sourceBytes(type))
      if (!repackBlock(type, block, row & 7, source, temp)) return <i32>(source - start);
  }
  return -1;
}

/** Q4_0 to `q4`. */
export function repack_q4_0(job: Repack): i32 {
  return repack(Q4_0, job);
}

/** Q4_1 to `q4min`. */
export function repack_q4_1(job: Repack): i32 {
  return repack(Q4_1, job);
}

/** Q5_0 to `q8`. */
export function repack_q5_0(job: Repack): i32 {
  return repack(Q5_0, job);
}

/** Q5_1 to `codes`. */
export function repack_q5_1(job: Repack): i32 {
  return repack(Q5_1, job);
}

/** Q8_0 to `q8`. */
export function repack_q8_0(job: Repack): i32 {
  return repack(Q8_0, job);
}

/** Q2_K to `codes`. */
export function repack_q2_k(job: Repack): i32 {
  return repack(Q2_K, job);
}

/** Q3_K to `q6`. */
export function repack_q3_k(job: Repack): i32 {
  return repack(Q3_K, job);
}

/** Q4_K to `q4k`. */
export function repack_q4_k(job: Repack): i32 {
  return repack(Q4_K, job);
}

/** Q5_K to `codes`. */
export function repack_q5_k(job: Repack): i32 {
  return repack(Q5_K, job);
}

/** Q6_K to `q6`. */
export function repack_q6_k(job: Repack): i32 {
  return repack(Q6_K, job);
}
