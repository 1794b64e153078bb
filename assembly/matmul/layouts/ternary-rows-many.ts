// Gated rows of many tokens: each row of `up` is unpacked once, and multiplied with the tokens whose gates let it pass.
import { Gated } from "../../abi/gated";
import { hiddenBytes } from "../opaque";
import { count64, putGated, rectify, sumsAcross } from "./gates";
import { lineBytes } from "./ternary-order";

/** Tokens whose lists are made at once. */
const TOKENS: i32 = 256;
/** Rows whose lists are made at once: gates of neighbouring rows share cache lines. */
const ROWS: i32 = 16;
/** Bytes of a row's list: tokens, and room to fill up the last four. */
const LIST: usize = <usize>(TOKENS + 4) << 2;

/** A row as bytes in order, or as 16-bit codes in the order 0, 2, 1, 3 of every four columns, that of the records. */
// @ts-ignore: decorator
@inline
function unpackRow(to: usize, w: usize, line: usize): void {
  const mask = hiddenBytes(3);
  for (const end = w + line; w < end; w += 16) {
    let v = v128.load(w);
    for (let field = 0; field < 4; field++) {
      const codes = v128.and(v, mask);
      if (ASC_FEATURE_RELAXED_SIMD) {
        v128.store(to, codes);
        to += 16;
      } else {
        const pairs = v128.shuffle<i8>(codes, codes, 0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15);
        v128.store(to, i16x8.extend_low_i8x16_u(pairs));
        v128.store(to, i16x8.extend_high_i8x16_u(pairs), 16);
        to += 32;
      }
      v = i16x8.shr_u(v, 2);
    }
  }
}

/** acc + x · codes: 16-bit pair sums, or 32-bit sums. */
// @ts-ignore: decorator
@inline
function plus(acc: v128, x: v128, codes: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD
    ? i16x8.add(acc, i16x8.relaxed_dot_i8x16_i7x16_s(x, codes))
    : i32x4.add(acc, i32x4.dot_i16x8_s(x, codes));
}

// @ts-ignore: decorator
@inline
function widened(acc: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? i32x4.extadd_pairwise_i16x8_s(acc) : acc;
}

/** An unpacked row of `bytes` bytes × four tokens, whose codes are at `r0` … `r3`. */
// @ts-ignore: decorator
@inline
function fourTokens(w: usize, bytes: usize, r0: usize, r1: usize, r2: usize, r3: usize): v128 {
  let s0 = i32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  for (let c: usize = 0; c < bytes; ) {
    // 16-bit sums last 1024 columns: 64 · (2 · 127 · 2) = 32512.
    const pause = ASC_FEATURE_RELAXED_SIMD ? min<usize>(c + 1024, bytes) : bytes;
    let a = i16x8.splat(0);
    let b = a;
    let d = a;
    let e = a;
    for (; c < pause; c += 32) {
      const v = v128.load(w + c);
      const u = v128.load(w + c, 16);
      a = plus(plus(a, v128.load(r0 + c), v), v128.load(r0 + c, 16), u);
      b = plus(plus(b, v128.load(r1 + c), v), v128.load(r1 + c, 16), u);
      d = plus(plus(d, v128.load(r2 + c), v), v128.load(r2 + c, 16), u);
      e = plus(plus(e, v128.load(r3 + c), v), v128.load(r3 + c, 16), u);
    }
    s0 = i32x4.add(s0, widened(a));
    s1 = i32x4.add(s1, widened(b));
    s2 = i32x4.add(s2, widened(d));
    s3 = i32x4.add(s3, widened(e));
  }
  return sumsAcross(s0, s1, s2, s3);
}

/** Many tokens: each row unpacked once, for the tokens that need it. */
// @ts-ignore: decorator
@inline
export function manyTokens(job: Gated, rowStart: i32, rowEnd: i32): void {
  const columns = job.columns;
  const padded = (columns + 31) & ~31;
  const line = lineBytes(columns);
  const stride = <usize>(16 + 3 * padded);
  const lists = job.scratch;
  const unpacked = lists + <usize>ROWS * LIST;
  const zero = f32x4.splat(0);
  const rowBytes = <usize>job.rows << 2;
  const scale = job.scale;
  // Padding columns of the last 64 are not multiplied.
  const bytes = ASC_FEATURE_RELAXED_SIMD ? <usize>padded : <usize>padded << 1;
  const codes = <usize>(ASC_FEATURE_RELAXED_SIMD ? 16 : 16 + padded);
  for (let row = rowStart; row < rowEnd; row += ROWS) {
    const some = min(rowEnd - row, ROWS);
    let active = 0;
    let needed: u32 = 0;
    for (let first = 0; first < job.tokens; first += TOKENS) {
      const batch = min(job.tokens - first, TOKENS);
      const gate = job.gate + <usize>first * rowBytes + (<usize>row << 2);
      for (let i = 0; i < some; i += 4) {
        let n0 = lists + <usize>i * LIST;
        let n1 = n0 + LIST;
        let n2 = n1 + LIST;
        let n3 = n2 + LIST;
        let at = gate + (<usize>i << 2);
        for (let t = 0; t < batch; t++, at += rowBytes) {
          const bits = rectify(at, zero);
          store<i32>(n0, t);
          n0 += (bits & 1) << 2;
          store<i32>(n1, t);
          n1 += (bits & 2) << 1;
          store<i32>(n2, t);
          n2 += bits & 4;
          store<i32>(n3, t);
          n3 += (bits & 8) >> 1;
        }
        store<i32>(n0, -1);
        store<i32>(n1, -1);
        store<i32>(n2, -1);
        store<i32>(n3, -1);
      }
      for (let i = 0; i < some; i++) {
        let list = lists + <usize>i * LIST;
        if (load<i32>(list) < 0) continue;
        needed |= 1 << i;
        unpackRow(unpacked, job.weights + <usize>(row + i) * line, line);
        const records = job.activations + <usize>first * stride;
        for (const to = gate + (<usize>i << 2); ; list += 16) {
          const t0 = load<i32>(list);
          if (t0 < 0) break;
          // Missing ones repeat the one before, and their sums are not used.
          const l1 = load<i32>(list, 4);
          const t1 = l1 < 0 ? t0 : l1;
          const l2 = l1 < 0 ? -1 : load<i32>(list, 8);
          const t2 = l2 < 0 ? t1 : l2;
          const l3 = l2 < 0 ? -1 : load<i32>(list, 12);
          const t3 = l3 < 0 ? t2 : l3;
          const r0 = records + <usize>t0 * stride;
          const r1 = records + <usize>t1 * stride;
          const r2 = records + <usize>t2 * stride;
          const r3 = records + <usize>t3 * stride;
          const sums = fourTokens(unpacked, bytes, r0 + codes, r1 + codes, r2 + codes, r3 + codes);
          putGated(to + <usize>t0 * rowBytes, i32x4.extract_lane(sums, 0), r0, scale);
          active++;
          if (l1 < 0) break;
          putGated(to + <usize>t1 * rowBytes, i32x4.extract_lane(sums, 1), r1, scale);
          active++;
          if (l2 < 0) break;
          putGated(to + <usize>t2 * rowBytes, i32x4.extract_lane(sums, 2), r2, scale);
          active++;
          if (l3 < 0) break;
          putGated(to + <usize>t3 * rowBytes, i32x4.extract_lane(sums, 3), r3, scale);
          active++;
        }
      }
    }
    count64(job.counters, active, some - <i32>popcnt(needed));
  }
}
