// Ternary matrices × int8 activations with one scale per token.
// y = (Σ code · x − Σ x) · weightScale / activationScale: the sums are exact integers, the rest one fixed f32 expression.
import { hiddenBytes, hiddenShorts } from "./opaque";
import { storeOutputs } from "./store";

/** Four outputs of one token from their code sums. */
// @ts-ignore: decorator
@inline
function finish(out: usize, sum: v128, record: usize, scale: f32, count: i32, accumulate: bool): void {
  const centred = i32x4.sub(sum, v128.load32_splat(record + 4));
  const scaled = f32x4.mul(f32x4.convert_i32x4_s(centred), f32x4.splat(scale));
  storeOutputs(out, f32x4.div(scaled, v128.load32_splat(record)), count, accumulate);
}

/**
 * One token. `weights`: layout `ternary`; `record`: from `quantise_per_token`; `out` f32 [rows]. Rows `rowStart …
 * rowEnd − 1`, rowStart a multiple of 8.
 */
export function gemv_ternary(
  out: usize,
  weights: usize,
  record: usize,
  columns: i32,
  rowStart: i32,
  rowEnd: i32,
  scale: f32,
  accumulate: bool,
): void {
  const padded = (columns + 31) & ~31;
  const bytes = record + 16;
  const pairs = bytes + padded;
  let w = weights + <usize>rowStart * (padded >> 2);
  const low = ASC_FEATURE_RELAXED_SIMD ? hiddenBytes(0x03) : hiddenShorts(0x03);
  const next = ASC_FEATURE_RELAXED_SIMD ? hiddenBytes(0x0c) : hiddenShorts(0x0c);
  for (let row = rowStart; row < rowEnd; row += 8) {
    let sum0 = i32x4.splat(0);
    let sum1 = i32x4.splat(0);
    if (ASC_FEATURE_RELAXED_SIMD) {
      const end = bytes + padded;
      for (let x = bytes; x < end; ) {
        // Within 128 columns no 16-bit sum overflows: 16 · (2 · 127 · 8) = 32512. `b` holds four times its sum.
        let a0 = i16x8.splat(0);
        let b0 = i16x8.splat(0);
        let a1 = i16x8.splat(0);
        let b1 = i16x8.splat(0);
        const stop = min(x + 128, end);
        for (; x < stop; x += 16, w += 32) {
          const x0 = v128.load32_splat(x);
          const x1 = v128.load32_splat(x, 4);
          const x2 = v128.load32_splat(x, 8);
          const x3 = v128.load32_splat(x, 12);
          const v0 = v128.load(w);
          const v1 = v128.load(w, 16);
          const u0 = i16x8.shr_u(v0, 4);
          const u1 = i16x8.shr_u(v1, 4);
          a0 = i16x8.add(a0, i16x8.relaxed_dot_i8x16_i7x16_s(x0, v128.and(v0, low)));
          b0 = i16x8.add(b0, i16x8.relaxed_dot_i8x16_i7x16_s(x1, v128.and(v0, next)));
          a0 = i16x8.add(a0, i16x8.relaxed_dot_i8x16_i7x16_s(x2, v128.and(u0, low)));
          b0 = i16x8.add(b0, i16x8.relaxed_dot_i8x16_i7x16_s(x3, v128.and(u0, next)));
          a1 = i16x8.add(a1, i16x8.relaxed_dot_i8x16_i7x16_s(x0, v128.and(v1, low)));
          b1 = i16x8.add(b1, i16x8.relaxed_dot_i8x16_i7x16_s(x1, v128.and(v1, next)));
          a1 = i16x8.add(a1, i16x8.relaxed_dot_i8x16_i7x16_s(x2, v128.and(u1, low)));
          b1 = i16x8.add(b1, i16x8.relaxed_dot_i8x16_i7x16_s(x3, v128.and(u1, next)));
        }
        a0 = i16x8.add(a0, i16x8.shr_s(b0, 2));
        a1 = i16x8.add(a1, i16x8.shr_s(b1, 2));
        sum0 = i32x4.add(sum0, i32x4.extadd_pairwise_i16x8_s(a0));
        sum1 = i32x4.add(sum1, i32x4.extadd_pairwise_i16x8_s(a1));
      }
    } else {
      // `b` holds four times its sum: half of the shifts. |Σ| < 2^31 up to 4 million columns.
      let a0 = i32x4.splat(0);
      let b0 = i32x4.splat(0);
      let a1 = i32x4.splat(0);
      let b1 = i32x4.splat(0);
      const end = pairs + ((<usize>padded) << 1);
      for (let x = pairs; x < end; x += 32, w += 32) {
        let v0 = v128.load(w);
        let v1 = v128.load(w, 16);
        let q = v128.load32_splat(x, 0);
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(q, v128.and(v0, low)));
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(q, v128.and(v1, low)));
        q = v128.load32_splat(x, 8);
        b0 = i32x4.add(b0, i32x4.dot_i16x8_s(q, v128.and(v0, next)));
        b1 = i32x4.add(b1, i32x4.dot_i16x8_s(q, v128.and(v1, next)));
        v0 = i16x8.shr_u(v0, 4);
        v1 = i16x8.shr_u(v1, 4);
        q = v128.load32_splat(x, 16);
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(q, v128.and(v0, low)));
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(q, v128.and(v1, low)));
        q = v128.load32_splat(x, 24);
        b0 = i32x4.add(b0, i32x4.dot_i16x8_s(q, v128.and(v0, next)));
        b1 = i32x4.add(b1, i32x4.dot_i16x8_s(q, v128.and(v1, next)));
        v0 = i16x8.shr_u(v0, 4);
        v1 = i16x8.shr_u(v1, 4);
        q = v128.load32_splat(x, 4);
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(q, v128.and(v0, low)));
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(q, v128.and(v1, low)));
        q = v128.load32_splat(x, 12);
        b0 = i32x4.add(b0, i32x4.dot_i16x8_s(q, v128.and(v0, next)));
        b1 = i32x4.add(b1, i32x4.dot_i16x8_s(q, v128.and(v1, next)));
        v0 = i16x8.shr_u(v0, 4);
        v1 = i16x8.shr_u(v1, 4);
        q = v128.load32_splat(x, 20);
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(q, v128.and(v0, low)));
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(q, v128.and(v1, low)));
        q = v128.load32_splat(x, 28);
        b0 = i32x4.add(b0, i32x4.dot_i16x8_s(q, v128.and(v0, next)));
        b1 = i32x4.add(b1, i32x4.dot_i16x8_s(q, v128.and(v1, next)));
      }
      sum0 = i32x4.add(a0, i32x4.shr_s(b0, 2));
      sum1 = i32x4.add(a1, i32x4.shr_s(b1, 2));
    }
    const to = out + ((<usize>row) << 2);
    finish(to, sum0, record, scale, rowEnd - row, accumulate);
    finish(to + 16, sum1, record, scale, rowEnd - row - 4, accumulate);
  }
}

/** One group of 8 rows as bytes (relaxed) or 16-bit pairs (simd), per 4 columns rows 0–3 then rows 4–7. */
// @ts-ignore: decorator
@inline
function unpackTernary(to: usize, w: usize, padded: i32): void {
  const end = w + ((<usize>padded) << 1);
  const mask = ASC_FEATURE_RELAXED_SIMD ? hiddenBytes(3) : hiddenShorts(3);
  for (; w < end; w += 32) {
    const v0 = v128.load(w);
    const v1 = v128.load(w, 16);
    if (ASC_FEATURE_RELAXED_SIMD) {
      v128.store(to, v128.and(v0, mask));
      v128.store(to, v128.and(v1, mask), 16);
      v128.store(to, v128.and(i16x8.shr_u(v0, 2), mask), 32);
      v128.store(to, v128.and(i16x8.shr_u(v1, 2), mask), 48);
      v128.store(to, v128.and(i16x8.shr_u(v0, 4), mask), 64);
      v128.store(to, v128.and(i16x8.shr_u(v1, 4), mask), 80);
      v128.store(to, v128.and(i16x8.shr_u(v0, 6), mask), 96);
      v128.store(to, v128.and(i16x8.shr_u(v1, 6), mask), 112);
      to += 128;
    } else {
      for (let shift = 0; shift < 8; shift += 2, to += 64) {
        v128.store(to, v128.and(i16x8.shr_u(v0, shift), mask));
        v128.store(to, v128.and(i16x8.shr_u(v1, shift), mask), 16);
        v128.store(to, v128.and(i16x8.shr_u(v0, shift + 8), mask), 32);
        v128.store(to, v128.and(i16x8.shr_u(v1, shift + 8), mask), 48);
      }
    }
  }
}

/** Adds the pair sums of a 16-bit accumulator to the 32-bit sums at `to`. */
// @ts-ignore: decorator
@inline
function widen(to: usize, sum: v128): void {
  v128.store(to, i32x4.add(v128.load(to), i32x4.extadd_pairwise_i16x8_s(sum)));
}

/**
 * `tokens` tokens, records at the stride of `quantise_per_token`; out f32 [tokens][rows]. A group of rows is unpacked
 * once to `scratch` (16 · padded + 128 bytes), then multiplied with four tokens at a time.
 */
export function gemm_ternary(
  out: usize,
  weights: usize,
  records: usize,
  tokens: i32,
  rows: i32,
  columns: i32,
  rowStart: i32,
  rowEnd: i32,
  scale: f32,
  accumulate: bool,
  scratch: usize,
): void {
  const padded = (columns + 31) & ~31;
  const stride = <usize>(16 + 3 * padded);
  const codes = scratch + 128;
  for (let row = rowStart; row < rowEnd; row += 8) {
    unpackTernary(codes, weights + <usize>row * (padded >> 2), padded);
    for (let t = 0; t < tokens; t += 4) {
      // A tile is always four tokens; missing ones repeat the last and are not stored.
      const r0 = records + <usize>t * stride;
      const r1 = records + <usize>min(t + 1, tokens - 1) * stride;
      const r2 = records + <usize>min(t + 2, tokens - 1) * stride;
      const r3 = records + <usize>min(t + 3, tokens - 1) * stride;
      memory.fill(scratch, 0, 128);
      if (ASC_FEATURE_RELAXED_SIMD) {
        let w = codes;
        let x = 16;
        const end = 16 + padded;
        while (x < end) {
          // Within 256 columns no 16-bit sum overflows: 64 · (2 · 127 · 2) = 32512.
          const stop = min(x + 256, end);
          let a0 = i16x8.splat(0);
          let a1 = i16x8.splat(0);
          let b0 = i16x8.splat(0);
          let b1 = i16x8.splat(0);
          let c0 = i16x8.splat(0);
          let c1 = i16x8.splat(0);
          let d0 = i16x8.splat(0);
          let d1 = i16x8.splat(0);
          for (; x < stop; x += 4, w += 32) {
            const v0 = v128.load(w);
            const v1 = v128.load(w, 16);
            let q = v128.load32_splat(r0 + x);
            a0 = i16x8.add(a0, i16x8.relaxed_dot_i8x16_i7x16_s(q, v0));
            a1 = i16x8.add(a1, i16x8.relaxed_dot_i8x16_i7x16_s(q, v1));
            q = v128.load32_splat(r1 + x);
            b0 = i16x8.add(b0, i16x8.relaxed_dot_i8x16_i7x16_s(q, v0));
            b1 = i16x8.add(b1, i16x8.relaxed_dot_i8x16_i7x16_s(q, v1));
            q = v128.load32_splat(r2 + x);
            c0 = i16x8.add(c0, i16x8.relaxed_dot_i8x16_i7x16_s(q, v0));
            c1 = i16x8.add(c1, i16x8.relaxed_dot_i8x16_i7x16_s(q, v1));
            q = v128.load32_splat(r3 + x);
            d0 = i16x8.add(d0, i16x8.relaxed_dot_i8x16_i7x16_s(q, v0));
            d1 = i16x8.add(d1, i16x8.relaxed_dot_i8x16_i7x16_s(q, v1));
          }
          widen(scratch, a0);
          widen(scratch + 16, a1);
          widen(scratch + 32, b0);
          widen(scratch + 48, b1);
          widen(scratch + 64, c0);
          widen(scratch + 80, c1);
          widen(scratch + 96, d0);
          widen(scratch + 112, d1);
        }
      } else {
        let a0 = i32x4.splat(0);
        let a1 = i32x4.splat(0);
        let b0 = i32x4.splat(0);
        let b1 = i32x4.splat(0);
        let c0 = i32x4.splat(0);
        let c1 = i32x4.splat(0);
        let d0 = i32x4.splat(0);
        let d1 = i32x4.splat(0);
        let w = codes;
        const end = 16 + 3 * padded;
        for (let x = 16 + padded; x < end; x += 4, w += 32) {
          const v0 = v128.load(w);
          const v1 = v128.load(w, 16);
          let q = v128.load32_splat(r0 + x);
          a0 = i32x4.add(a0, i32x4.dot_i16x8_s(q, v0));
          a1 = i32x4.add(a1, i32x4.dot_i16x8_s(q, v1));
          q = v128.load32_splat(r1 + x);
          b0 = i32x4.add(b0, i32x4.dot_i16x8_s(q, v0));
          b1 = i32x4.add(b1, i32x4.dot_i16x8_s(q, v1));
          q = v128.load32_splat(r2 + x);
          c0 = i32x4.add(c0, i32x4.dot_i16x8_s(q, v0));
          c1 = i32x4.add(c1, i32x4.dot_i16x8_s(q, v1));
          q = v128.load32_splat(r3 + x);
          d0 = i32x4.add(d0, i32x4.dot_i16x8_s(q, v0));
          d1 = i32x4.add(d1, i32x4.dot_i16x8_s(q, v1));
        }
        v128.store(scratch, a0);
        v128.store(scratch, a1, 16);
        v128.store(scratch, b0, 32);
        v128.store(scratch, b1, 48);
        v128.store(scratch, c0, 64);
        v128.store(scratch, c1, 80);
        v128.store(scratch, d0, 96);
        v128.store(scratch, d1, 112);
      }
      const last = min(t + 4, tokens);
      for (let token = t, sums = scratch; token < last; token++, sums += 32) {
        const record = records + <usize>token * stride;
        const to = out + ((<usize>token * rows + row) << 2);
        finish(to, v128.load(sums), record, scale, rowEnd - row, accumulate);
        finish(to + 16, v128.load(sums, 16), record, scale, rowEnd - row - 4, accumulate);
      }
    }
  }
}
