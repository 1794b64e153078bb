// rows1 … rows4: products of that many rows of codes with a panel, see product.ts. `groups` is even; `list`, when not 0, holds
// the indices (u8) of the steps to take. The accumulators of a round fill the registers, hence one function per count.

/** Sums of neighbouring lanes of a, then of b. */
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
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(a, x0));
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(a, x1));
      const b = v128.load64_splat(row1 + at);
      b0 = i32x4.add(b0, i32x4.dot_i16x8_s(b, x0));
      b1 = i32x4.add(b1, i32x4.dot_i16x8_s(b, x1));
      const c = v128.load64_splat(row2 + at);
      c0 = i32x4.add(c0, i32x4.dot_i16x8_s(c, x0));
      c1 = i32x4.add(c1, i32x4.dot_i16x8_s(c, x1));
      const d = v128.load64_splat(row3 + at);
      d0 = i32x4.add(d0, i32x4.dot_i16x8_s(d, x0));
      d1 = i32x4.add(d1, i32x4.dot_i16x8_s(d, x1));
    }
    v128.store(out, pairs(a0, a1));
    v128.store(out + outStride, pairs(b0, b1));
    v128.store(out + 2 * outStride, pairs(c0, c1));
    v128.store(out + 3 * outStride, pairs(d0, d1));
    out += 16;
    panel += group;
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
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(a, x0));
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(a, x1));
      const b = v128.load64_splat(row1 + at);
      b0 = i32x4.add(b0, i32x4.dot_i16x8_s(b, x0));
      b1 = i32x4.add(b1, i32x4.dot_i16x8_s(b, x1));
      const c = v128.load64_splat(row2 + at);
      c0 = i32x4.add(c0, i32x4.dot_i16x8_s(c, x0));
      c1 = i32x4.add(c1, i32x4.dot_i16x8_s(c, x1));
    }
    v128.store(out, pairs(a0, a1));
    v128.store(out + outStride, pairs(b0, b1));
    v128.store(out + 2 * outStride, pairs(c0, c1));
    out += 16;
    panel += group;
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
  for (let g = 0; g < groups; g += 2) {
    let a0 = i32x4.splat(0);
    let a1 = a0;
    let a2 = a0;
    let a3 = a0;
    let b0 = a0;
    let b1 = a0;
    let b2 = a0;
    let b3 = a0;
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
      const x2 = v128.load8x8_s(p + group);
      const x3 = v128.load8x8_s(p + group + 8);
      const a = v128.load64_splat(row + at);
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(a, x0));
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(a, x1));
      a2 = i32x4.add(a2, i32x4.dot_i16x8_s(a, x2));
      a3 = i32x4.add(a3, i32x4.dot_i16x8_s(a, x3));
      const b = v128.load64_splat(row1 + at);
      b0 = i32x4.add(b0, i32x4.dot_i16x8_s(b, x0));
      b1 = i32x4.add(b1, i32x4.dot_i16x8_s(b, x1));
      b2 = i32x4.add(b2, i32x4.dot_i16x8_s(b, x2));
      b3 = i32x4.add(b3, i32x4.dot_i16x8_s(b, x3));
    }
    v128.store(out, pairs(a0, a1));
    v128.store(out, pairs(a2, a3), 16);
    v128.store(out + outStride, pairs(b0, b1));
    v128.store(out + outStride, pairs(b2, b3), 16);
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
  for (let g = 0; g < groups; g += 2) {
    let a0 = i32x4.splat(0);
    let a1 = a0;
    let a2 = a0;
    let a3 = a0;
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
      const x2 = v128.load8x8_s(p + group);
      const x3 = v128.load8x8_s(p + group + 8);
      const a = v128.load64_splat(row + at);
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(a, x0));
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(a, x1));
      a2 = i32x4.add(a2, i32x4.dot_i16x8_s(a, x2));
      a3 = i32x4.add(a3, i32x4.dot_i16x8_s(a, x3));
    }
    v128.store(out, pairs(a0, a1));
    v128.store(out, pairs(a2, a3), 16);
    out += 32;
    panel += group << 1;
  }
}
