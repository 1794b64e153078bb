// Float matrices × f32 activations: layouts `f16`, `bf16`, `f32`. A row's result is (Σ even columns) + (Σ odd columns),
// each in column order.
import { Product } from "../../abi/product";
import { Lookup } from "../../abi/lookup";
import { BF16, F16, F16_FACTOR, F16_MASK, F16_TOP, F32, floatBytes, floatsFromF16With, loadFloat, loadFloats } from "../numbers";
import { hiddenWords } from "../opaque";
import { storeOutputs, zeroRow } from "../store";

/** Four weights; the constants are those of `floatsFromF16With`. */
// @ts-ignore: decorator
@inline
function four(type: i32, from: usize, mask: v128, factor: v128, top: v128, infinity: v128): v128 {
  return type == F16 ? floatsFromF16With(v128.load16x4_s(from), mask, factor, top, infinity) : loadFloats(type, from);
}

// @ts-ignore: decorator
@inline
function gemv(type: i32, product: Product, rowStart: i32, rowEnd: i32): void {
  const out = product.out;
  const weights = product.weights;
  const x = product.activations;
  const columns = product.columns;
  const accumulate = product.accumulate != 0;
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
function gemm(type: i32, product: Product, rowStart: i32, rowEnd: i32): void {
  const out = product.out;
  const weights = product.weights;
  const x = product.activations;
  const tokens = product.tokens;
  const rows = product.rows;
  const columns = product.columns;
  const accumulate = product.accumulate != 0;
  const scratch = product.scratch;
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
export function gemv_f16(product: Product, rowStart: i32, rowEnd: i32): void {
  gemv(F16, product, rowStart, rowEnd);
}

/** One token × layout `bf16`. */
export function gemv_bf16(product: Product, rowStart: i32, rowEnd: i32): void {
  gemv(BF16, product, rowStart, rowEnd);
}

/** One token × layout `f32`. */
export function gemv_f32(product: Product, rowStart: i32, rowEnd: i32): void {
  gemv(F32, product, rowStart, rowEnd);
}

/** `tokens` tokens × layout `f16`: x f32 [tokens][columns], out f32 [tokens][rows]; scratch: 32 · columns bytes. */
export function gemm_f16(product: Product, rowStart: i32, rowEnd: i32): void {
  gemm(F16, product, rowStart, rowEnd);
}

/** `tokens` tokens × layout `bf16`; scratch: 32 · columns bytes. */
export function gemm_bf16(product: Product, rowStart: i32, rowEnd: i32): void {
  gemm(BF16, product, rowStart, rowEnd);
}

/** `tokens` tokens × layout `f32`; scratch is not used. */
export function gemm_f32(product: Product, rowStart: i32, rowEnd: i32): void {
  gemm(F32, product, rowStart, rowEnd);
}

function look(type: i32, lookup: Lookup): void {
  let out = lookup.out;
  const weights = lookup.weights;
  const ids = lookup.ids;
  const tokens = lookup.tokens;
  const rows = lookup.rows;
  const columns = lookup.columns;
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

/** Rows of layout `f32`: out f32 [tokens][columns]. */
export function rows_f32(lookup: Lookup): void {
  look(F32, lookup);
}

/** Rows of layout `f16`. */
export function rows_f16(lookup: Lookup): void {
  look(F16, lookup);
}

/** Rows of layout `bf16`. */
export function rows_bf16(lookup: Lookup): void {
  look(BF16, lookup);
}
