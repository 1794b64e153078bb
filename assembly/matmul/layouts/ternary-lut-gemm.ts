// Ternary matrices in layout `ternary-lut` × many tokens. Look-ups do not pay here: the codes of 128 rows × 512 columns are
// unpacked once for up to 128 tokens, two rows to a 16-bit number, and multiplied with four tokens at a time.
import { Product } from "../../abi/product";
import { TOKEN_BATCH } from "../gemm-blocks";
import { BLOCK, TILE, tileOf } from "./ternary-lut-order";
import { hiddenShorts } from "../opaque";
import { storeTernary } from "../store";

/** Half tiles (16 rows) that share one packing of the activations. */
const PASS: i32 = 8;
/** Bytes of the sums of a half tile: i32 [tokens][16]; those of a pass are at the start of the scratch. */
const SUMS: usize = 64 * TOKEN_BATCH;
/** Bytes of a half tile's unpacked codes. */
const UNPACKED: usize = 16 * BLOCK;
/** Bytes of scratch of `gemm_ternary_lut`: sums and codes of a pass, the activations of four tokens. */
export const LUT_SCRATCH: usize = PASS * (SUMS + UNPACKED) + 8 * BLOCK;

/** Field `field` of each byte: even byte + 2^14 · odd byte, minus 1 each. */
// @ts-ignore: decorator
@inline
function rowPair(codes: v128, field: i32, low: v128, high: v128, one: v128): v128 {
  return i16x8.sub(
    v128.or(
      v128.and(i16x8.shr_u(codes, field << 1), low),
      v128.and(i16x8.shl(codes, 6 - (field << 1)), high),
    ),
    one,
  );
}

/** Two columns of 16 rows: rows r (0–3) + 2^14 · rows r + 4 as pairs of the columns, then rows 8 + r. */
// @ts-ignore: decorator
@inline
function putPairs(to: usize, a: v128, b: v128): void {
  v128.store(to, v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11));
  v128.store(to, v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15), 16);
}

/** `columns` columns of a half tile, per 2 columns 32 bytes; columns 0, 2 and 1, 3 of every four are pairs. */
// @ts-ignore: decorator
@inline
function unpackHalfTile(to: usize, w: usize, columns: i32): void {
  const low = hiddenShorts(3);
  const high = hiddenShorts(0xc000);
  const one = hiddenShorts(1 + (1 << 14));
  for (const end = w + ((<usize>columns) << 3); w < end; w += 128, to += 256) {
    for (let odd: usize = 0; odd < 2; odd++) {
      const a = v128.load(w + (odd << 5));
      const b = v128.load(w + (odd << 5), 64);
      const at = to + (odd << 5);
      putPairs(at, rowPair(a, 0, low, high, one), rowPair(b, 0, low, high, one));
      putPairs(at + 64, rowPair(a, 1, low, high, one), rowPair(b, 1, low, high, one));
      putPairs(at + 128, rowPair(a, 2, low, high, one), rowPair(b, 2, low, high, one));
      putPairs(at + 192, rowPair(a, 3, low, high, one), rowPair(b, 3, low, high, one));
    }
  }
}

/** The activation pairs of four tokens: [pair][token]. So the product reads them from one address. */
// @ts-ignore: decorator
@inline
function packTokens(to: usize, r0: usize, r1: usize, r2: usize, r3: usize, columns: i32): void {
  for (const end = to + ((<usize>columns) << 3); to < end; to += 64) {
    const a = v128.load(r0);
    const b = v128.load(r1);
    const c = v128.load(r2);
    const d = v128.load(r3);
    const ab = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
    const cd = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
    const ab2 = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
    const cd2 = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
    v128.store(to, v128.shuffle<i64>(ab, cd, 0, 2));
    v128.store(to, v128.shuffle<i64>(ab, cd, 1, 3), 16);
    v128.store(to, v128.shuffle<i64>(ab2, cd2, 0, 2), 32);
    v128.store(to, v128.shuffle<i64>(ab2, cd2, 1, 3), 48);
    r0 += 16;
    r1 += 16;
    r2 += 16;
    r3 += 16;
  }
}

/**
 * Keeps up the sum at `to` of the lower rows: `sum` = it + 2^14 · (sum of the upper rows), of which only the lowest 14
 * bits are sure, and it has changed by less than 2^13 since.
 */
// @ts-ignore: decorator
@inline
function follow(to: usize, sum: v128): void {
  const before = v128.load(to);
  v128.store(to, i32x4.add(before, i32x4.shr_s(i32x4.shl(i32x4.sub(sum, before), 18), 18)));
}

/** Adds what `sum` holds of the upper rows to their sums. */
// @ts-ignore: decorator
@inline
function finish(to: usize, sum: v128): void {
  v128.store(to, i32x4.add(v128.load(to, 16), i32x4.shr_s(i32x4.sub(sum, v128.load(to)), 14)), 16);
}

/** A half tile × four tokens, whose sums are 64 bytes apart. 2^14 · 127 · BLOCK < 2^31: the upper rows' sums fit. */
// @ts-ignore: decorator
@inline
function multiply(to: usize, w: usize, x: usize, columns: i32): void {
  let a0 = v128.load(to, 0);
  let a1 = v128.load(to, 32);
  let b0 = v128.load(to, 64);
  let b1 = v128.load(to, 96);
  let c0 = v128.load(to, 128);
  let c1 = v128.load(to, 160);
  let d0 = v128.load(to, 192);
  let d1 = v128.load(to, 224);
  for (const end = x + ((<usize>columns) << 3); x < end; ) {
    // Within 64 columns the sum of a row changes by at most 64 · 127 < 2^13.
    for (const stop = min<usize>(x + 512, end); x < stop; x += 16, w += 32) {
      const v0 = v128.load(w);
      const v1 = v128.load(w, 16);
      let q = v128.load32_splat(x);
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(q, v0));
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(q, v1));
      q = v128.load32_splat(x, 4);
      b0 = i32x4.add(b0, i32x4.dot_i16x8_s(q, v0));
      b1 = i32x4.add(b1, i32x4.dot_i16x8_s(q, v1));
      q = v128.load32_splat(x, 8);
      c0 = i32x4.add(c0, i32x4.dot_i16x8_s(q, v0));
      c1 = i32x4.add(c1, i32x4.dot_i16x8_s(q, v1));
      q = v128.load32_splat(x, 12);
      d0 = i32x4.add(d0, i32x4.dot_i16x8_s(q, v0));
      d1 = i32x4.add(d1, i32x4.dot_i16x8_s(q, v1));
    }
    follow(to + 0, a0);
    follow(to + 32, a1);
    follow(to + 64, b0);
    follow(to + 96, b1);
    follow(to + 128, c0);
    follow(to + 160, c1);
    follow(to + 192, d0);
    follow(to + 224, d1);
  }
  finish(to + 0, a0);
  finish(to + 32, a1);
  finish(to + 64, b0);
  finish(to + 96, b1);
  finish(to + 128, c0);
  finish(to + 160, c1);
  finish(to + 192, d0);
  finish(to + 224, d1);
}

/**
 * `tokens` tokens, records at the stride of `quantise_per_token`; out f32 [tokens][rows]; rows `rowStart … rowEnd − 1`,
 * multiples of 32; scratch: `matmul_scratch_bytes`. The bits of `gemm_ternary`.
 */
export function gemm_ternary_lut(product: Product, rowStart: i32, rowEnd: i32): void {
  const out = product.out;
  const weights = product.weights;
  const records = product.activations;
  const tokens = product.tokens;
  const rows = product.rows;
  const columns = product.columns;
  const scale = product.scale;
  const accumulate = product.accumulate != 0;
  const scratch = product.scratch;
  const padded = (columns + 31) & ~31;
  const stride = <usize>(16 + 3 * padded);
  const unpacked = scratch + PASS * SUMS;
  const packed = unpacked + PASS * UNPACKED;
  for (let first = 0; first < tokens; first += TOKEN_BATCH) {
    const batch = min(tokens - first, TOKEN_BATCH);
    const from = records + <usize>first * stride;
    for (let row = rowStart; row < rowEnd; row += 16 * PASS) {
      const halves = min((rowEnd - row) >> 4, PASS);
      memory.fill(scratch, 0, PASS * SUMS);
      for (let start = 0; start < padded; start += BLOCK) {
        const count = min(padded - start, BLOCK);
        for (let h = 0; h < halves; h++) {
          const tile = tileOf(weights, rows, padded, row + (h >> 1) * TILE, start);
          unpackHalfTile(unpacked + <usize>h * UNPACKED, tile + ((h & 1) << 4), count);
        }
        for (let t = 0; t < batch; t += 4) {
          // A tile is always four tokens; missing ones repeat the last, and their sums are not used.
          const x = from + <usize>(16 + padded) + ((<usize>start) << 1);
          packTokens(
            packed,
            x + <usize>t * stride,
            x + <usize>min(t + 1, batch - 1) * stride,
            x + <usize>min(t + 2, batch - 1) * stride,
            x + <usize>min(t + 3, batch - 1) * stride,
            count,
          );
          for (let h = 0; h < halves; h++)
            multiply(scratch + <usize>h * SUMS + ((<usize>t) << 6), unpacked + <usize>h * UNPACKED, packed, count);
        }
      }
      for (let t = 0; t < batch; t++) {
        const record = from + <usize>t * stride;
        let to = out + ((<usize>(first + t) * rows + row) << 2);
        for (let h = 0; h < halves; h++) {
          const sums = scratch + <usize>h * SUMS + ((<usize>t) << 6);
          for (let r: usize = 0; r < 64; r += 16, to += 16)
            storeTernary(to, v128.load(sums + r), record, scale, 4, accumulate);
        }
      }
    }
  }
}
