// Float matrices × f32 activations: layouts `f16`, `bf16`, `f32`. A row's result is (Σ even columns) + (Σ odd columns),
// each in column order.
import { BF16, F16, F16_FACTOR, F16_MASK, F16_TOP, F32, floatBytes, floatsFromF16With, loadFloats } from "./numbers";
import { hiddenWords } from "./opaque";
import { storeOutputs } from "./store";

/** Four weights; the constants are those of `floatsFromF16With`. */
// @ts-ignore: decorator
@inline
function four(type: i32, from: usize, mask: v128, factor: v128, top: v128, infinity: v128): v128 {
  return type == F16 ? floatsFromF16With(v128.load16x4_s(from), mask, factor, top, infinity) : loadFloats(type, from);
}

// @ts-ignore: decorator
@inline
function gemv(
  type: i32, out: usize, weights: usize, x: usize, columns: i32, rowStart: i32, rowEnd: i32, accumulate: bool,
): void {
  const half: usize = 4 * floatBytes(type);
  let w = weights + <usize>rowStart * columns * floatBytes(type);
  const mask = hiddenWords(F16_MASK);
  const factor = hiddenWords(F16_FACTOR);
  const top = hiddenWords(F16_TOP);
  const infinity = hiddenWords(0x7f800000);
  for (let row = rowStart; row < rowEnd; row += 8) {
    let even0 = f32x4.splat(0);
    let even1 = f32x4.splat(0);
    let odd0 = f32x4.splat(0);
    let odd1 = f32x4.splat(0);
    let c = 0;
    for (; c + 1 < columns; c += 2, w += 4 * half) {
      const q0 = v128.load32_splat(x + ((<usize>c) << 2));
      const q1 = v128.load32_splat(x + ((<usize>c) << 2), 4);
      even0 = f32x4.add(even0, f32x4.mul(four(type, w, mask, factor, top, infinity), q0));
      even1 = f32x4.add(even1, f32x4.mul(four(type, w + half, mask, factor, top, infinity), q0));
      odd0 = f32x4.add(odd0, f32x4.mul(four(type, w + 2 * half, mask, factor, top, infinity), q1));
      odd1 = f32x4.add(odd1, f32x4.mul(four(type, w + 3 * half, mask, factor, top, infinity), q1));
    }
    if (c < columns) {
      const q0 = v128.load32_splat(x + ((<usize>c) << 2));
      even0 = f32x4.add(even0, f32x4.mul(four(type, w, mask, factor, top, infinity), q0));
      even1 = f32x4.add(even1, f32x4.mul(four(type, w + half, mask, factor, top, infinity), q0));
      w += 2 * half;
    }
    const to = out + ((<usize>row) << 2);
    storeOutputs(to, f32x4.add(even0, odd0), rowEnd - row, accumulate);
    storeOutputs(to + 16, f32x4.add(even1, odd1), rowEnd - row - 4, accumulate);
  }
}

// @ts-ignore: decorator
@inline
function gemm(
  type: i32, out: usize, weights: usize, x: usize, tokens: i32, rows: i32, columns: i32, rowStart: i32, rowEnd: i32,
  accumulate: bool, scratch: usize,
): void {
  let w = weights + <usize>rowStart * columns * floatBytes(type);
  const mask = hiddenWords(F16_MASK);
  const factor = hiddenWords(F16_FACTOR);
  const top = hiddenWords(F16_TOP);
  const infinity = hiddenWords(0x7f800000);
  const stride = (<usize>columns) << 2;
  for (let row = rowStart; row < rowEnd; row += 8) {
    let unpacked = w;
    if (type != F32) {
      unpacked = scratch;
      for (let i = 0; i < 2 * columns; i++)
        v128.store(scratch + ((<usize>i) << 4), four(type, w + <usize>i * 4 * floatBytes(type), mask, factor, top, infinity));
    }
    w += <usize>columns * 8 * floatBytes(type);
    for (let t = 0; t < tokens; t += 2) {
      const x0 = x + <usize>t * stride;
      const x1 = x + <usize>min(t + 1, tokens - 1) * stride;
      let a0 = f32x4.splat(0);
      let a1 = f32x4.splat(0);
      let b0 = f32x4.splat(0);
      let b1 = f32x4.splat(0);
      let c0 = f32x4.splat(0);
      let c1 = f32x4.splat(0);
      let d0 = f32x4.splat(0);
      let d1 = f32x4.splat(0);
      let at = unpacked;
      let c = 0;
      for (; c + 1 < columns; c += 2, at += 64) {
        const offset = (<usize>c) << 2;
        let v0 = v128.load(at);
        let v1 = v128.load(at, 16);
        let q = v128.load32_splat(x0 + offset);
        a0 = f32x4.add(a0, f32x4.mul(v0, q));
        a1 = f32x4.add(a1, f32x4.mul(v1, q));
        q = v128.load32_splat(x1 + offset);
        c0 = f32x4.add(c0, f32x4.mul(v0, q));
        c1 = f32x4.add(c1, f32x4.mul(v1, q));
        v0 = v128.load(at, 32);
        v1 = v128.load(at, 48);
        q = v128.load32_splat(x0 + offset, 4);
        b0 = f32x4.add(b0, f32x4.mul(v0, q));
        b1 = f32x4.add(b1, f32x4.mul(v1, q));
        q = v128.load32_splat(x1 + offset, 4);
        d0 = f32x4.add(d0, f32x4.mul(v0, q));
        d1 = f32x4.add(d1, f32x4.mul(v1, q));
      }
      if (c < columns) {
        const offset = (<usize>c) << 2;
        const v0 = v128.load(at);
        const v1 = v128.load(at, 16);
        let q = v128.load32_splat(x0 + offset);
        a0 = f32x4.add(a0, f32x4.mul(v0, q));
        a1 = f32x4.add(a1, f32x4.mul(v1, q));
        q = v128.load32_splat(x1 + offset);
        c0 = f32x4.add(c0, f32x4.mul(v0, q));
        c1 = f32x4.add(c1, f32x4.mul(v1, q));
      }
      let to = out + ((<usize>t * rows + row) << 2);
      storeOutputs(to, f32x4.add(a0, b0), rowEnd - row, accumulate);
      storeOutputs(to + 16, f32x4.add(a1, b1), rowEnd - row - 4, accumulate);
      if (t + 1 < tokens) {
        to += (<usize>rows) << 2;
        storeOutputs(to, f32x4.add(c0, d0), rowEnd - row, accumulate);
        storeOutputs(to + 16, f32x4.add(c1, d1), rowEnd - row - 4, accumulate);
      }
    }
  }
}

/** One token × layout `f16`: x f32 [columns], out f32 [rows]; rows `rowStart` (a multiple of 8) to `rowEnd` − 1. */
export function gemv_f16(
  out: usize, weights: usize, x: usize, columns: i32, rowStart: i32, rowEnd: i32, accumulate: bool,
): void {
  gemv(F16, out, weights, x, columns, rowStart, rowEnd, accumulate);
}

/** One token × layout `bf16`. */
export function gemv_bf16(
  out: usize, weights: usize, x: usize, columns: i32, rowStart: i32, rowEnd: i32, accumulate: bool,
): void {
  gemv(BF16, out, weights, x, columns, rowStart, rowEnd, accumulate);
}

/** One token × layout `f32`. */
export function gemv_f32(
  out: usize, weights: usize, x: usize, columns: i32, rowStart: i32, rowEnd: i32, accumulate: bool,
): void {
  gemv(F32, out, weights, x, columns, rowStart, rowEnd, accumulate);
}

/** `tokens` tokens × layout `f16`: x f32 [tokens][columns], out f32 [tokens][rows]; scratch: 32 · columns bytes. */
export function gemm_f16(
  out: usize, weights: usize, x: usize, tokens: i32, rows: i32, columns: i32, rowStart: i32, rowEnd: i32,
  accumulate: bool, scratch: usize,
): void {
  gemm(F16, out, weights, x, tokens, rows, columns, rowStart, rowEnd, accumulate, scratch);
}

/** `tokens` tokens × layout `bf16`; scratch: 32 · columns bytes. */
export function gemm_bf16(
  out: usize, weights: usize, x: usize, tokens: i32, rows: i32, columns: i32, rowStart: i32, rowEnd: i32,
  accumulate: bool, scratch: usize,
): void {
  gemm(BF16, out, weights, x, tokens, rows, columns, rowStart, rowEnd, accumulate, scratch);
}

/** `tokens` tokens × layout `f32`; scratch is not used. */
export function gemm_f32(
  out: usize, weights: usize, x: usize, tokens: i32, rows: i32, columns: i32, rowStart: i32, rowEnd: i32,
  accumulate: bool, scratch: usize,
): void {
  gemm(F32, out, weights, x, tokens, rows, columns, rowStart, rowEnd, accumulate, scratch);
}
