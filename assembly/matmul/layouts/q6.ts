// 6-bit codes × int8 activations with one scale per 32 columns: layout `q6`. value = d · sc · (code − 32).
import { Product } from "../../abi/product";
import { blockShareOffset, recordBytes, widened } from "../blocks";
import { storeSums } from "../gemm-blocks";
import { F16_FACTOR, F16_MASK, floatFromF16, scalesFromF16With } from "../numbers";
import { hiddenBytes, hiddenShorts, hiddenWords } from "../opaque";
import { storeOutputs } from "../store";

/** Bytes of a block of 32 columns: 8 f16 scales, 2 × 8 i8 factors, 2 × 96 bytes of codes. */
export const Q6_BLOCK_BYTES: i32 = 224;

/** The fourth quad of half a block: the top two bits of the bytes of the other three. */
// @ts-ignore: decorator
@inline
function fourth(v0: v128, v1: v128, v2: v128, top: v128): v128 {
  return v128.or(
    v128.or(i16x8.shr_u(v128.and(v0, top), 6), i16x8.shr_u(v128.and(v1, top), 4)),
    i16x8.shr_u(v128.and(v2, top), 2),
  );
}

/** Σ code · x over 16 columns in four rows, whose first vector of codes is at `codes`. */
// @ts-ignore: decorator
@inline
function dotHalf(codes: usize, x: usize, six: v128, top: v128, byte: v128): v128 {
  const v0 = v128.load(codes);
  const v1 = v128.load(codes, 32);
  const v2 = v128.load(codes, 64);
  const c0 = v128.and(v0, six);
  const c1 = v128.and(v1, six);
  const c2 = v128.and(v2, six);
  const c3 = fourth(v0, v1, v2, top);
  if (ASC_FEATURE_RELAXED_SIMD) {
    // 2 · (2 · 127 · 63) = 32004: two products fit 16 bits.
    const a = i16x8.add(
      i16x8.relaxed_dot_i8x16_i7x16_s(v128.load32_splat(x), c0),
      i16x8.relaxed_dot_i8x16_i7x16_s(v128.load32_splat(x, 4), c1),
    );
    const b = i16x8.add(
      i16x8.relaxed_dot_i8x16_i7x16_s(v128.load32_splat(x, 8), c2),
      i16x8.relaxed_dot_i8x16_i7x16_s(v128.load32_splat(x, 12), c3),
    );
    return i32x4.add(widened(a), widened(b));
  }
  return i32x4.add(
    i32x4.add(dotQuad(x, c0, byte), dotQuad(x + 8, c1, byte)),
    i32x4.add(dotQuad(x + 16, c2, byte), dotQuad(x + 24, c3, byte)),
  );
}

// @ts-ignore: decorator
@inline
function dotQuad(x: usize, codes: v128, byte: v128): v128 {
  return i32x4.add(
    i32x4.dot_i16x8_s(v128.load32_splat(x), v128.and(codes, byte)),
    i32x4.dot_i16x8_s(v128.load32_splat(x, 4), i16x8.shr_u(codes, 8)),
  );
}

/** One token × layout `q6`; `record` from `quantise_per_block`; rows `rowStart` (a multiple of 8) to `rowEnd` − 1. */
export function gemv_q6(product: Product, rowStart: i32, rowEnd: i32): void {
  const out = product.out;
  const weights = product.weights;
  const record = product.activations;
  const columns = product.columns;
  const accumulate = product.accumulate != 0;
  const padded = (columns + 31) & ~31;
  const pairs = record + padded;
  const parameters = record + <usize>padded * 3;
  const six = hiddenBytes(0x3f);
  const top = hiddenBytes(0xc0);
  const byte = hiddenShorts(0xff);
  const mask = hiddenWords(F16_MASK);
  const factor = hiddenWords(F16_FACTOR);
  const zero = hiddenWords(0x42000000); // 32
  let w = weights + <usize>(rowStart >> 3) * (padded >> 5) * Q6_BLOCK_BYTES;
  for (let row = rowStart; row < rowEnd; row += 8) {
    let total0 = f32x4.splat(0);
    let total1 = f32x4.splat(0);
    let x = ASC_FEATURE_RELAXED_SIMD ? record : pairs;
    for (let p = parameters, end = p + (padded >> 1); p < end; p += 16, w += Q6_BLOCK_BYTES) {
      const xScale = v128.load32_splat(p);
      const d0 = scalesFromF16With(v128.load16x4_s(w), mask, factor);
      const d1 = scalesFromF16With(v128.load16x4_s(w, 8), mask, factor);
      for (let half = 0; half < 2; half++) {
        const codes = w + 32 + <usize>half * 96;
        const dot0 = dotHalf(codes, x, six, top, byte);
        const dot1 = dotHalf(codes + 16, x, six, top, byte);
        x += ASC_FEATURE_RELAXED_SIMD ? 16 : 32;
        const factors = v128.load8x8_s(w + (<usize>half << 3), 16);
        const f0 = f32x4.mul(d0, f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(factors)));
        const f1 = f32x4.mul(d1, f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(factors)));
        const offset = f32x4.mul(v128.load32_splat(p + (<usize>half << 2), 8), zero);
        total0 = f32x4.add(total0, blockShareOffset(dot0, offset, f0, xScale));
        total1 = f32x4.add(total1, blockShareOffset(dot1, offset, f1, xScale));
      }
    }
    const to = out + ((<usize>row) << 2);
    storeOutputs(to, total0, rowEnd - row, accumulate);
    storeOutputs(to + 16, total1, rowEnd - row - 4, accumulate);
  }
}

/** Σ code · x over 16 columns in four rows from codes unpacked. */
// @ts-ignore: decorator
@inline
function dotCodes(x: usize, c0: v128, c1: v128, c2: v128, c3: v128, byte: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD)
    return i32x4.add(
      widened(
        i16x8.add(
          i16x8.relaxed_dot_i8x16_i7x16_s(v128.load32_splat(x), c0),
          i16x8.relaxed_dot_i8x16_i7x16_s(v128.load32_splat(x, 4), c1),
        ),
      ),
      widened(
        i16x8.add(
          i16x8.relaxed_dot_i8x16_i7x16_s(v128.load32_splat(x, 8), c2),
          i16x8.relaxed_dot_i8x16_i7x16_s(v128.load32_splat(x, 12), c3),
        ),
      ),
    );
  return i32x4.add(
    i32x4.add(dotQuad(x, c0, byte), dotQuad(x + 8, c1, byte)),
    i32x4.add(dotQuad(x + 16, c2, byte), dotQuad(x + 24, c3, byte)),
  );
}

/** 2 to 8 tokens × layout `q6`; each code is unpacked once for all of them. */
export function gemm_few_q6(product: Product, rowStart: i32, rowEnd: i32): void {
  const padded = (product.columns + 31) & ~31;
  const stride = recordBytes(padded);
  const tokens = product.tokens;
  const six = hiddenBytes(0x3f);
  const top = hiddenBytes(0xc0);
  const byte = hiddenShorts(0xff);
  const mask = hiddenWords(F16_MASK);
  const factor = hiddenWords(F16_FACTOR);
  const zero = hiddenWords(0x42000000); // 32
  let w = product.weights + <usize>(rowStart >> 3) * (padded >> 5) * Q6_BLOCK_BYTES;
  for (let row = rowStart; row < rowEnd; row += 8) {
    memory.fill(product.scratch, 0, <usize>tokens << 5);
    for (let c = 0; c < padded; c += 32, w += Q6_BLOCK_BYTES) {
      for (let part: usize = 0; part < 2; part++) {
        const d = scalesFromF16With(v128.load16x4_s(w + (part << 3)), mask, factor);
        for (let half: usize = 0; half < 2; half++) {
          const codes = w + 32 + half * 96 + (part << 4);
          const v0 = v128.load(codes);
          const v1 = v128.load(codes, 32);
          const v2 = v128.load(codes, 64);
          const c0 = v128.and(v0, six);
          const c1 = v128.and(v1, six);
          const c2 = v128.and(v2, six);
          const c3 = fourth(v0, v1, v2, top);
          const factors = i32x4.extend_low_i16x8_s(v128.load8x8_s(w + (half << 3) + (part << 2), 16));
          const f = f32x4.mul(d, f32x4.convert_i32x4_s(factors));
          const column = <usize>c + (half << 4);
          let x = product.activations + (ASC_FEATURE_RELAXED_SIMD ? column : padded + (column << 1));
          let p = product.activations + <usize>padded * 3 + (<usize>c >> 1);
          let sums = product.scratch + (part << 4);
          for (let t = 0; t < tokens; t++, x += stride, p += stride, sums += 32) {
            const offset = f32x4.mul(v128.load32_splat(p + (half << 2), 8), zero);
            const share = blockShareOffset(dotCodes(x, c0, c1, c2, c3, byte), offset, f, v128.load32_splat(p));
            v128.store(sums, f32x4.add(v128.load(sums), share));
          }
        }
      }
    }
    storeSums(product.out, product.scratch, tokens, product.rows, row, rowEnd, product.accumulate != 0);
  }
}

/** Four codes of eight rows, less `zero`, as 16-bit numbers: columns 0, 2, then 1, 3. */
// @ts-ignore: decorator
@inline
function unpackQuad(to: usize, v0: v128, v1: v128, byte: v128, zero: v128): void {
  v128.store(to, i16x8.sub(v128.and(v0, byte), zero));
  v128.store(to, i16x8.sub(v128.and(v1, byte), zero), 16);
  v128.store(to, i16x8.sub(i16x8.shr_u(v0, 8), zero), 32);
  v128.store(to, i16x8.sub(i16x8.shr_u(v1, 8), zero), 48);
}

/** Half a block: f32 scales, then codes − 32 as 16-bit numbers. */
// @ts-ignore: decorator
@inline
function unpackHalf(
  to: usize, w: usize, half: i32, mask: v128, factor: v128, zero: v128, six: v128, top: v128, byte: v128,
): void {
  const factors = v128.load8x8_s(w + (half << 3), 16);
  const f0 = f32x4.mul(
    scalesFromF16With(v128.load16x4_s(w), mask, factor),
    f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(factors)),
  );
  const f1 = f32x4.mul(
    scalesFromF16With(v128.load16x4_s(w, 8), mask, factor),
    f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(factors)),
  );
  v128.store(to, f0);
  v128.store(to, f1, 16);
  const codes = w + 32 + half * 96;
  const v0 = v128.load(codes);
  const u0 = v128.load(codes, 16);
  const v1 = v128.load(codes, 32);
  const u1 = v128.load(codes, 48);
  const v2 = v128.load(codes, 64);
  const u2 = v128.load(codes, 80);
  to += 64;
  unpackQuad(to, v128.and(v0, six), v128.and(u0, six), byte, zero);
  unpackQuad(to + 64, v128.and(v1, six), v128.and(u1, six), byte, zero);
  unpackQuad(to + 128, v128.and(v2, six), v128.and(u2, six), byte, zero);
  unpackQuad(to + 192, fourth(v0, v1, v2, top), fourth(u0, u1, u2, top), byte, zero);
}

/** Unpacks the blocks of `columns` columns for `multiplySegment`, as blocks of 16. */
// @ts-ignore: decorator
@inline
export function unpackQ6(to: usize, w: usize, columns: i32): void {
  const six = hiddenBytes(0x3f);
  const top = hiddenBytes(0xc0);
  const byte = hiddenShorts(0xff);
  const mask = hiddenWords(F16_MASK);
  const factor = hiddenWords(F16_FACTOR);
  const zero = hiddenShorts(32);
  for (let c = 0; c < columns; c += 32, w += Q6_BLOCK_BYTES, to += 640) {
    unpackHalf(to, w, 0, mask, factor, zero, six, top, byte);
    unpackHalf(to + 320, w, 1, mask, factor, zero, six, top, byte);
  }
}

/** The number at a column of row `lane` of a panel: (d · sc) · (code − 32). */
// @ts-ignore: decorator
@inline
export function valueQ6(panel: usize, lane: i32, column: i32): f32 {
  const block = panel + <usize>(column >> 5) * Q6_BLOCK_BYTES;
  const half = (column >> 4) & 1;
  const codes = block + 32 + half * 96 + (lane << 2) + (column & 3);
  const quad = (column & 12) >> 2;
  const code =
    quad < 3
      ? <i32>load<u8>(codes + (quad << 5)) & 63
      : (<i32>load<u8>(codes) >> 6) | ((<i32>load<u8>(codes, 32) >> 6) << 2) | ((<i32>load<u8>(codes, 64) >> 6) << 4);
  const scale: f32 = floatFromF16(load<u16>(block + (lane << 1))) * <f32>load<i8>(block + 16 + (half << 3) + lane);
  return scale * <f32>(code - 32);
}
