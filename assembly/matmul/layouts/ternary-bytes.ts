// Ternary matrices × many tokens in the relaxed build: codes unpacked to bytes, for a group of 8 rows, × four tokens.
import { hiddenBytes } from "../opaque";

/** Columns for which a 16-bit sum of two products each, of values −1, 0, 1, cannot overflow: 128 · (2 · 127) = 32512. */
const SPAN: i32 = 512;

/** `columns` columns of a group of 8 rows as bytes 0 … 2: per 4 columns 16 bytes for rows 0–3, 16 for rows 4–7. */
// @ts-ignore: decorator
@inline
export function unpackBytes(to: usize, w: usize, columns: i32): void {
  const mask = hiddenBytes(3);
  for (const end = w + ((<usize>columns) << 1); w < end; w += 32, to += 128) {
    const v0 = v128.load(w);
    const v1 = v128.load(w, 16);
    v128.store(to, v128.and(v0, mask));
    v128.store(to, v128.and(v1, mask), 16);
    v128.store(to, v128.and(i16x8.shr_u(v0, 2), mask), 32);
    v128.store(to, v128.and(i16x8.shr_u(v1, 2), mask), 48);
    v128.store(to, v128.and(i16x8.shr_u(v0, 4), mask), 64);
    v128.store(to, v128.and(i16x8.shr_u(v1, 4), mask), 80);
    v128.store(to, v128.and(i16x8.shr_u(v0, 6), mask), 96);
    v128.store(to, v128.and(i16x8.shr_u(v1, 6), mask), 112);
  }
}

/**
 * Where 16-bit sums start so that codes 0, 1, 2 count as −1, 0, 1 at the end of every 512 columns, whatever overflowed in
 * between: −Σ x over the first and the second pairs of all quads. To `to`: per tile of four tokens, per 512 columns,
 * per token two 16-bit numbers. `codes`: of the first of `batch` tokens, `stride` apart.
 */
// @ts-ignore: decorator
@inline
export function putStarts(to: usize, codes: usize, batch: i32, stride: usize, padded: i32): void {
  const one = hiddenBytes(1);
  for (let t = 0; t < batch; t += 4) {
    for (let start = 0; start < padded; start += SPAN) {
      const count = min(padded - start, SPAN);
      for (let i = t; i < t + 4; i++, to += 4) {
        const x = codes + <usize>min(i, batch - 1) * stride + start;
        let sum = i16x8.splat(0);
        for (let c: usize = 0; c < <usize>count; c += 16)
          sum = i16x8.sub(sum, i16x8.relaxed_dot_i8x16_i7x16_s(v128.load(x + c), one));
        sum = i16x8.add(sum, v128.shuffle<i64>(sum, sum, 1, 0));
        sum = i16x8.add(sum, v128.shuffle<i32>(sum, sum, 1, 0, 3, 2));
        v128.store32_lane(to, sum, 0);
      }
    }
  }
}

/** Bytes of the numbers of `putStarts` for one tile. */
// @ts-ignore: decorator
@inline
export function startBytes(padded: i32): usize {
  return <usize>((padded + SPAN - 1) / SPAN) << 4;
}

/** Adds the pair sums of a 16-bit accumulator to the sums at `to`. */
// @ts-ignore: decorator
@inline
function widen(to: usize, sum: v128): void {
  v128.store(to, i32x4.add(v128.load(to), i32x4.extadd_pairwise_i16x8_s(sum)));
}

/** Adds Σ (code − 1) · x of `columns` columns to the sums at `to`, 32 bytes per token. `starts`: from `putStarts`. */
// @ts-ignore: decorator
@inline
export function multiplyBytes(
  to: usize, w: usize, r0: usize, r1: usize, r2: usize, r3: usize, starts: usize, columns: i32,
): void {
  for (let x: usize = 0; x < <usize>columns; starts += 16) {
    const stop = min<usize>(x + SPAN, columns);
    const all = v128.load(starts);
    let a0 = v128.shuffle<i32>(all, all, 0, 0, 0, 0);
    let b0 = v128.shuffle<i32>(all, all, 1, 1, 1, 1);
    let c0 = v128.shuffle<i32>(all, all, 2, 2, 2, 2);
    let d0 = v128.shuffle<i32>(all, all, 3, 3, 3, 3);
    let a1 = a0;
    let b1 = b0;
    let c1 = c0;
    let d1 = d0;
    // Two quads of columns: with more the optimiser's order of the sums needs more registers than there are.
    for (; x < stop; x += 8, w += 64) {
      const v0 = v128.load(w);
      const v1 = v128.load(w, 16);
      const u0 = v128.load(w, 32);
      const u1 = v128.load(w, 48);
      let q = v128.load32_splat(r0 + x);
      let p = v128.load32_splat(r0 + x, 4);
      a0 = i16x8.add(i16x8.add(a0, i16x8.relaxed_dot_i8x16_i7x16_s(q, v0)), i16x8.relaxed_dot_i8x16_i7x16_s(p, u0));
      a1 = i16x8.add(i16x8.add(a1, i16x8.relaxed_dot_i8x16_i7x16_s(q, v1)), i16x8.relaxed_dot_i8x16_i7x16_s(p, u1));
      q = v128.load32_splat(r1 + x);
      p = v128.load32_splat(r1 + x, 4);
      b0 = i16x8.add(i16x8.add(b0, i16x8.relaxed_dot_i8x16_i7x16_s(q, v0)), i16x8.relaxed_dot_i8x16_i7x16_s(p, u0));
      b1 = i16x8.add(i16x8.add(b1, i16x8.relaxed_dot_i8x16_i7x16_s(q, v1)), i16x8.relaxed_dot_i8x16_i7x16_s(p, u1));
      q = v128.load32_splat(r2 + x);
      p = v128.load32_splat(r2 + x, 4);
      c0 = i16x8.add(i16x8.add(c0, i16x8.relaxed_dot_i8x16_i7x16_s(q, v0)), i16x8.relaxed_dot_i8x16_i7x16_s(p, u0));
      c1 = i16x8.add(i16x8.add(c1, i16x8.relaxed_dot_i8x16_i7x16_s(q, v1)), i16x8.relaxed_dot_i8x16_i7x16_s(p, u1));
      q = v128.load32_splat(r3 + x);
      p = v128.load32_splat(r3 + x, 4);
      d0 = i16x8.add(i16x8.add(d0, i16x8.relaxed_dot_i8x16_i7x16_s(q, v0)), i16x8.relaxed_dot_i8x16_i7x16_s(p, u0));
      d1 = i16x8.add(i16x8.add(d1, i16x8.relaxed_dot_i8x16_i7x16_s(q, v1)), i16x8.relaxed_dot_i8x16_i7x16_s(p, u1));
    }
    widen(to + 0, a0);
    widen(to + 16, a1);
    widen(to + 32, b0);
    widen(to + 48, b1);
    widen(to + 64, c0);
    widen(to + 80, c1);
    widen(to + 96, d0);
    widen(to + 112, d1);
  }
}

/** Adds Σ code · x with 32-bit dot products: one instruction each where the processor has AVX-VNNI or SDOT. */
// @ts-ignore: decorator
@inline
export function multiplyBytes32(
  to: usize,
  w: usize,
  r0: usize,
  r1: usize,
  r2: usize,
  r3: usize,
  columns: i32,
): void {
  let a0 = v128.load(to, 0);
  let a1 = v128.load(to, 16);
  let b0 = v128.load(to, 32);
  let b1 = v128.load(to, 48);
  let c0 = v128.load(to, 64);
  let c1 = v128.load(to, 80);
  let d0 = v128.load(to, 96);
  let d1 = v128.load(to, 112);
  for (let x: usize = 0; x < <usize>columns; x += 4, w += 32) {
    const v0 = v128.load(w);
    const v1 = v128.load(w, 16);
    let q = v128.load32_splat(r0 + x);
    a0 = i32x4.relaxed_dot_i8x16_i7x16_add_s(q, v0, a0);
    a1 = i32x4.relaxed_dot_i8x16_i7x16_add_s(q, v1, a1);
    q = v128.load32_splat(r1 + x);
    b0 = i32x4.relaxed_dot_i8x16_i7x16_add_s(q, v0, b0);
    b1 = i32x4.relaxed_dot_i8x16_i7x16_add_s(q, v1, b1);
    q = v128.load32_splat(r2 + x);
    c0 = i32x4.relaxed_dot_i8x16_i7x16_add_s(q, v0, c0);
    c1 = i32x4.relaxed_dot_i8x16_i7x16_add_s(q, v1, c1);
    q = v128.load32_splat(r3 + x);
    d0 = i32x4.relaxed_dot_i8x16_i7x16_add_s(q, v0, d0);
    d1 = i32x4.relaxed_dot_i8x16_i7x16_add_s(q, v1, d1);
  }
  v128.store(to, a0, 0);
  v128.store(to, a1, 16);
  v128.store(to, b0, 32);
  v128.store(to, b1, 48);
  v128.store(to, c0, 64);
  v128.store(to, c1, 80);
  v128.store(to, d0, 96);
  v128.store(to, d1, 112);
}
