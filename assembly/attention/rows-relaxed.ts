import { hoisted, opaqueZero } from "./layout";

// rows1 … rows4: products of that many rows of codes with a panel, see product.ts. `groups` is even; `list`, when not 0, holds
// the indices (u8) of the steps to take. The accumulators of a round fill the registers, hence one function per count.

// Pairs of products fit 16 bits, as one side is in 0..127. Widening them by a product with ones takes three instructions on
// x86; the 32-bit relaxed dot takes five there where the engine does not use VNNI.
// @ts-ignore: decorator
@inline
function dot(sum: v128, row: v128, panel: v128, ones: v128, signedPanel: bool): v128 {
  const pairs = signedPanel
    ? i16x8.relaxed_dot_i8x16_i7x16_s(panel, row)
    : i16x8.relaxed_dot_i8x16_i7x16_s(row, panel);
  return i32x4.add(sum, i32x4.dot_i16x8_s(pairs, ones));
}

// @ts-ignore: decorator
@inline
export function rows4(
  out: usize,
  outStride: usize,
  row: usize,
  rowStride: usize,
  panel: usize,
  step: usize,
  steps: i32,
  group: usize,
  groups: i32,
  signedPanel: bool,
  list: usize,
): void {
  const row1 = row + rowStride;
  const row2 = row1 + rowStride;
  const row3 = row2 + rowStride;
  const ones = hoisted(i16x8.splat(1), opaqueZero());
  for (let g = 0; g < groups; g += 2) {
    let a0 = i32x4.splat(0);
    let a1 = a0;
    let b0 = a0;
    let b1 = a0;
    let c0 = a0;
    let c1 = a0;
    let d0 = a0;
    let d1 = a0;
    let p = panel;
    let at: usize = 0;
    for (let s = 0; s < steps; s++, p += step, at += 4) {
      if (list) {
        const n = <usize>load<u8>(list + <usize>s);
        p = panel + n * step;
        at = n * 4;
      }
      const x0 = v128.load(p);
      const x1 = v128.load(p + group);
      const a = v128.load32_splat(row + at);
      a0 = dot(a0, a, x0, ones, signedPanel);
      a1 = dot(a1, a, x1, ones, signedPanel);
      const b = v128.load32_splat(row1 + at);
      b0 = dot(b0, b, x0, ones, signedPanel);
      b1 = dot(b1, b, x1, ones, signedPanel);
      const c = v128.load32_splat(row2 + at);
      c0 = dot(c0, c, x0, ones, signedPanel);
      c1 = dot(c1, c, x1, ones, signedPanel);
      const d = v128.load32_splat(row3 + at);
      d0 = dot(d0, d, x0, ones, signedPanel);
      d1 = dot(d1, d, x1, ones, signedPanel);
    }
    v128.store(out, a0);
    v128.store(out, a1, 16);
    v128.store(out + outStride, b0);
    v128.store(out + outStride, b1, 16);
    v128.store(out + 2 * outStride, c0);
    v128.store(out + 2 * outStride, c1, 16);
    v128.store(out + 3 * outStride, d0);
    v128.store(out + 3 * outStride, d1, 16);
    out += 32;
    panel += group << 1;
  }
}

// @ts-ignore: decorator
@inline
export function rows3(
  out: usize,
  outStride: usize,
  row: usize,
  rowStride: usize,
  panel: usize,
  step: usize,
  steps: i32,
  group: usize,
  groups: i32,
  signedPanel: bool,
  list: usize,
): void {
  const row1 = row + rowStride;
  const row2 = row1 + rowStride;
  const ones = hoisted(i16x8.splat(1), opaqueZero());
  for (let g = 0; g < groups; g += 2) {
    let a0 = i32x4.splat(0);
    let a1 = a0;
    let b0 = a0;
    let b1 = a0;
    let c0 = a0;
    let c1 = a0;
    let p = panel;
    let at: usize = 0;
    for (let s = 0; s < steps; s++, p += step, at += 4) {
      if (list) {
        const n = <usize>load<u8>(list + <usize>s);
        p = panel + n * step;
        at = n * 4;
      }
      const x0 = v128.load(p);
      const x1 = v128.load(p + group);
      const a = v128.load32_splat(row + at);
      a0 = dot(a0, a, x0, ones, signedPanel);
      a1 = dot(a1, a, x1, ones, signedPanel);
      const b = v128.load32_splat(row1 + at);
      b0 = dot(b0, b, x0, ones, signedPanel);
      b1 = dot(b1, b, x1, ones, signedPanel);
      const c = v128.load32_splat(row2 + at);
      c0 = dot(c0, c, x0, ones, signedPanel);
      c1 = dot(c1, c, x1, ones, signedPanel);
    }
    v128.store(out, a0);
    v128.store(out, a1, 16);
    v128.store(out + outStride, b0);
    v128.store(out + outStride, b1, 16);
    v128.store(out + 2 * outStride, c0);
    v128.store(out + 2 * outStride, c1, 16);
    out += 32;
    panel += group << 1;
  }
}

// @ts-ignore: decorator
@inline
export function rows2(
  out: usize,
  outStride: usize,
  row: usize,
  rowStride: usize,
  panel: usize,
  step: usize,
  steps: i32,
  group: usize,
  groups: i32,
  signedPanel: bool,
  list: usize,
): void {
  const row1 = row + rowStride;
  const ones = hoisted(i16x8.splat(1), opaqueZero());
  for (let g = 0; g < groups; g += 2) {
    let a0 = i32x4.splat(0);
    let a1 = a0;
    let b0 = a0;
    let b1 = a0;
    let p = panel;
    let at: usize = 0;
    for (let s = 0; s < steps; s++, p += step, at += 4) {
      if (list) {
        const n = <usize>load<u8>(list + <usize>s);
        p = panel + n * step;
        at = n * 4;
      }
      const x0 = v128.load(p);
      const x1 = v128.load(p + group);
      const a = v128.load32_splat(row + at);
      a0 = dot(a0, a, x0, ones, signedPanel);
      a1 = dot(a1, a, x1, ones, signedPanel);
      const b = v128.load32_splat(row1 + at);
      b0 = dot(b0, b, x0, ones, signedPanel);
      b1 = dot(b1, b, x1, ones, signedPanel);
    }
    v128.store(out, a0);
    v128.store(out, a1, 16);
    v128.store(out + outStride, b0);
    v128.store(out + outStride, b1, 16);
    out += 32;
    panel += group << 1;
  }
}

// @ts-ignore: decorator
@inline
export function rows1(
  out: usize,
  outStride: usize,
  row: usize,
  rowStride: usize,
  panel: usize,
  step: usize,
  steps: i32,
  group: usize,
  groups: i32,
  signedPanel: bool,
  list: usize,
): void {
  const ones = hoisted(i16x8.splat(1), opaqueZero());
  for (let g = 0; g < groups; g += 2) {
    let a0 = i32x4.splat(0);
    let a1 = a0;
    let p = panel;
    let at: usize = 0;
    for (let s = 0; s < steps; s++, p += step, at += 4) {
      if (list) {
        const n = <usize>load<u8>(list + <usize>s);
        p = panel + n * step;
        at = n * 4;
      }
      const x0 = v128.load(p);
      const x1 = v128.load(p + group);
      const a = v128.load32_splat(row + at);
      a0 = dot(a0, a, x0, ones, signedPanel);
      a1 = dot(a1, a, x1, ones, signedPanel);
    }
    v128.store(out, a0);
    v128.store(out, a1, 16);
    out += 32;
    panel += group << 1;
  }
}
