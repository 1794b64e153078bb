import { hoisted, opaqueZero } from "./layout";

// Integer products of a panel (4 rows of int8 interleaved in steps of 4 bytes) with rows of codes. The lanes of an
// accumulator are the panel's 4 rows, so nothing is summed across lanes. Both builds give the same integers: one side is
// in 0..127, so that a sum of two products fits 16 bits.
//
// A row of codes holds 4 numbers per step: bytes in the relaxed build (which multiplies bytes), 16-bit numbers otherwise.

/** Bytes of one step (4 codes) in a row of codes of this build. */
export const STEP: usize = ASC_FEATURE_RELAXED_SIMD ? 4 : 8;

/** Stores four codes, i32 lanes in −128..127, as one step of a row. */
// @ts-ignore: decorator
@inline
export function storeStep(row: usize, code: v128): void {
  if (ASC_FEATURE_RELAXED_SIMD) {
    v128.store32_lane(row, i8x16.shuffle(code, code, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12), 0);
  } else {
    v128.store64_lane(row, i16x8.narrow_i32x4_s(code, code), 0);
  }
}

/** Stores 16 codes in two vectors of 16-bit numbers as four steps of a row, clamped to −128..127; returns the address after. */
// @ts-ignore: decorator
@inline
export function storeSteps(row: usize, a: v128, b: v128): usize {
  const bytes = i8x16.narrow_i16x8_s(a, b);
  if (ASC_FEATURE_RELAXED_SIMD) {
    v128.store(row, bytes);
    return row + 16;
  }
  v128.store(row, i16x8.extend_low_i8x16_s(bytes));
  v128.store(row, i16x8.extend_high_i8x16_s(bytes), 16);
  return row + 32;
}

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
function low(sum: v128, row: v128, panel: v128): v128 {
  return i32x4.add(sum, i32x4.dot_i16x8_s(row, panel));
}

// @ts-ignore: decorator
@inline
function pairs(a: v128, b: v128): v128 {
  return i32x4.add(
    i8x16.shuffle(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27),
    i8x16.shuffle(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31),
  );
}

// @ts-ignore: decorator
@inline
function rows4(
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
  if (ASC_FEATURE_RELAXED_SIMD) {
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
  } else {
    for (let g = 0; g < groups; g++) {
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
      for (let s = 0; s < steps; s++, p += step, at += 8) {
        if (list) {
          const n = <usize>load<u8>(list + <usize>s);
          p = panel + n * step;
          at = n * 8;
        }
        const x0 = v128.load8x8_s(p);
        const x1 = v128.load8x8_s(p + 8);
        const a = v128.load64_splat(row + at);
        a0 = low(a0, a, x0);
        a1 = low(a1, a, x1);
        const b = v128.load64_splat(row1 + at);
        b0 = low(b0, b, x0);
        b1 = low(b1, b, x1);
        const c = v128.load64_splat(row2 + at);
        c0 = low(c0, c, x0);
        c1 = low(c1, c, x1);
        const d = v128.load64_splat(row3 + at);
        d0 = low(d0, d, x0);
        d1 = low(d1, d, x1);
      }
      v128.store(out, pairs(a0, a1));
      v128.store(out + outStride, pairs(b0, b1));
      v128.store(out + 2 * outStride, pairs(c0, c1));
      v128.store(out + 3 * outStride, pairs(d0, d1));
      out += 16;
      panel += group;
    }
  }
}

// @ts-ignore: decorator
@inline
function rows3(
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
  if (ASC_FEATURE_RELAXED_SIMD) {
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
  } else {
    for (let g = 0; g < groups; g++) {
      let a0 = i32x4.splat(0);
      let a1 = a0;
      let b0 = a0;
      let b1 = a0;
      let c0 = a0;
      let c1 = a0;
      let p = panel;
      let at: usize = 0;
      for (let s = 0; s < steps; s++, p += step, at += 8) {
        if (list) {
          const n = <usize>load<u8>(list + <usize>s);
          p = panel + n * step;
          at = n * 8;
        }
        const x0 = v128.load8x8_s(p);
        const x1 = v128.load8x8_s(p + 8);
        const a = v128.load64_splat(row + at);
        a0 = low(a0, a, x0);
        a1 = low(a1, a, x1);
        const b = v128.load64_splat(row1 + at);
        b0 = low(b0, b, x0);
        b1 = low(b1, b, x1);
        const c = v128.load64_splat(row2 + at);
        c0 = low(c0, c, x0);
        c1 = low(c1, c, x1);
      }
      v128.store(out, pairs(a0, a1));
      v128.store(out + outStride, pairs(b0, b1));
      v128.store(out + 2 * outStride, pairs(c0, c1));
      out += 16;
      panel += group;
    }
  }
}

// @ts-ignore: decorator
@inline
function rows2(
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
    if (ASC_FEATURE_RELAXED_SIMD) {
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
    } else {
      let a2 = a0;
      let a3 = a0;
      let b2 = a0;
      let b3 = a0;
      for (let s = 0; s < steps; s++, p += step, at += 8) {
        if (list) {
          const n = <usize>load<u8>(list + <usize>s);
          p = panel + n * step;
          at = n * 8;
        }
        const x0 = v128.load8x8_s(p);
        const x1 = v128.load8x8_s(p + 8);
        const y0 = v128.load8x8_s(p + group);
        const y1 = v128.load8x8_s(p + group + 8);
        const a = v128.load64_splat(row + at);
        a0 = low(a0, a, x0);
        a1 = low(a1, a, x1);
        a2 = low(a2, a, y0);
        a3 = low(a3, a, y1);
        const b = v128.load64_splat(row1 + at);
        b0 = low(b0, b, x0);
        b1 = low(b1, b, x1);
        b2 = low(b2, b, y0);
        b3 = low(b3, b, y1);
      }
      a0 = pairs(a0, a1);
      a1 = pairs(a2, a3);
      b0 = pairs(b0, b1);
      b1 = pairs(b2, b3);
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
function rows1(
  out: usize,
  row: usize,
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
    if (ASC_FEATURE_RELAXED_SIMD) {
      for (let s = 0; s < steps; s++, p += step, at += 4) {
        if (list) {
          const n = <usize>load<u8>(list + <usize>s);
          p = panel + n * step;
          at = n * 4;
        }
        const a = v128.load32_splat(row + at);
        a0 = dot(a0, a, v128.load(p), ones, signedPanel);
        a1 = dot(a1, a, v128.load(p + group), ones, signedPanel);
      }
    } else {
      let a2 = a0;
      let a3 = a0;
      for (let s = 0; s < steps; s++, p += step, at += 8) {
        if (list) {
          const n = <usize>load<u8>(list + <usize>s);
          p = panel + n * step;
          at = n * 8;
        }
        const a = v128.load64_splat(row + at);
        a0 = low(a0, a, v128.load8x8_s(p));
        a1 = low(a1, a, v128.load8x8_s(p + 8));
        a2 = low(a2, a, v128.load8x8_s(p + group));
        a3 = low(a3, a, v128.load8x8_s(p + group + 8));
      }
      a0 = pairs(a0, a1);
      a1 = pairs(a2, a3);
    }
    v128.store(out, a0);
    v128.store(out, a1, 16);
    out += 32;
    panel += group << 1;
  }
}

// @ts-ignore: decorator
@inline
function product(
  out: usize,
  outStride: usize,
  row: usize,
  rowStride: usize,
  rows: i32,
  panel: usize,
  step: usize,
  steps: i32,
  group: usize,
  groups: i32,
  signedPanel: bool,
  list: usize,
): void {
  if (rows >= 4) rows4(out, outStride, row, rowStride, panel, step, steps, group, groups, signedPanel, list);
  else if (rows == 3) rows3(out, outStride, row, rowStride, panel, step, steps, group, groups, signedPanel, list);
  else if (rows == 2) rows2(out, outStride, row, rowStride, panel, step, steps, group, groups, signedPanel, list);
  else rows1(out, row, panel, step, steps, group, groups, signedPanel, list);
}

/**
 * QKᵀ of 1–4 query rows with one tile of keys: out[row][key] (i32, rows `outStride` bytes apart) = Σ q·code.
 * @param codes u8 0..127 [groups of 4 keys][headDim / 4][4 keys][4 elements]; `groups` is even
 */
export function keyProduct(
  out: usize,
  outStride: usize,
  row: usize,
  rowStride: usize,
  rows: i32,
  codes: usize,
  headDim: i32,
  groups: i32,
): void {
  product(out, outStride, row, rowStride, rows, codes, 16, headDim >> 2, <usize>headDim << 2, groups, false, 0);
}

/**
 * PV of 1–4 weight rows (codes 0..127) with one tile of values: out[row][element] (i32) = Σ weight·code over `groups`
 * groups of 4 keys.
 * @param codes i8 [groups of 4 keys][headDim / 4][4 elements][4 keys]
 */
export function valueProduct(
  out: usize,
  outStride: usize,
  row: usize,
  rowStride: usize,
  rows: i32,
  codes: usize,
  headDim: i32,
  groups: i32,
): void {
  product(out, outStride, row, rowStride, rows, codes, <usize>headDim << 2, groups, 16, headDim >> 2, true, 0);
}

/** `valueProduct` over `count` groups of keys only, whose indices (u8) are in `list`. */
export function valueProductSome(
  out: usize,
  outStride: usize,
  row: usize,
  rowStride: usize,
  rows: i32,
  codes: usize,
  headDim: i32,
  count: i32,
  list: usize,
): void {
  product(out, outStride, row, rowStride, rows, codes, <usize>headDim << 2, count, 16, headDim >> 2, true, list);
}
