/**
 * out[k][r] = Σ rows[i][r] · keys[k][i] over the elements `from` … `to` − 1 in their order, r = 0 … 3; where `from` is above 0
 * the sums go on from what is in `out`. All f64: four rows interleaved, [d][4], and keys [count][d].
 * @param stride bytes from one key's four sums to the next one's
 */
export function calibration_dots(
  out: usize, stride: usize, rows: usize, keys: usize, count: i32, from: i32, to: i32, d: i32,
): void {
  const step = <usize>d << 3;
  const more = from > 0;
  const zero = f64x2.splat(0);
  rows += <usize>from << 5;
  keys += <usize>from << 3;
  const bytes = <usize>(to - from) << 3;
  for (; count >= 4; count -= 4, keys += step << 2, out += stride << 2) {
    const o1 = out + stride;
    const o2 = o1 + stride;
    const o3 = o2 + stride;
    let a0 = more ? v128.load(out) : zero;
    let b0 = more ? v128.load(out, 16) : zero;
    let a1 = more ? v128.load(o1) : zero;
    let b1 = more ? v128.load(o1, 16) : zero;
    let a2 = more ? v128.load(o2) : zero;
    let b2 = more ? v128.load(o2, 16) : zero;
    let a3 = more ? v128.load(o3) : zero;
    let b3 = more ? v128.load(o3, 16) : zero;
    let row = rows;
    for (let key = keys, end = keys + bytes; key < end; key += 8, row += 32) {
      const p = v128.load(row);
      const q = v128.load(row, 16);
      let x = v128.load64_splat(key);
      a0 = f64x2.add(a0, f64x2.mul(p, x));
      b0 = f64x2.add(b0, f64x2.mul(q, x));
      x = v128.load64_splat(key + step);
      a1 = f64x2.add(a1, f64x2.mul(p, x));
      b1 = f64x2.add(b1, f64x2.mul(q, x));
      x = v128.load64_splat(key + 2 * step);
      a2 = f64x2.add(a2, f64x2.mul(p, x));
      b2 = f64x2.add(b2, f64x2.mul(q, x));
      x = v128.load64_splat(key + 3 * step);
      a3 = f64x2.add(a3, f64x2.mul(p, x));
      b3 = f64x2.add(b3, f64x2.mul(q, x));
    }
    v128.store(out, a0);
    v128.store(out, b0, 16);
    v128.store(o1, a1);
    v128.store(o1, b1, 16);
    v128.store(o2, a2);
    v128.store(o2, b2, 16);
    v128.store(o3, a3);
    v128.store(o3, b3, 16);
  }
  for (; count > 0; count--, keys += step, out += stride) {
    let a = more ? v128.load(out) : zero;
    let b = more ? v128.load(out, 16) : zero;
    let row = rows;
    for (let key = keys, end = keys + bytes; key < end; key += 8, row += 32) {
      const x = v128.load64_splat(key);
      a = f64x2.add(a, f64x2.mul(v128.load(row), x));
      b = f64x2.add(b, f64x2.mul(v128.load(row, 16), x));
    }
    v128.store(out, a);
    v128.store(out, b, 16);
  }
}

/**
 * sums[i][j] += scaled[t][i] · x[t][j] over all rows t in their order, for i ≤ j; f64, `sums` [d][d], of which what is below
 * the diagonal is not to be used, `x` and `scaled` [rows][d], d a multiple of 2.
 */
export function calibration_outer(sums: usize, x: usize, scaled: usize, rows: i32, d: i32): void {
  const bytes = <usize>d << 3;
  for (; rows >= 4; rows -= 4, x += bytes << 2, scaled += bytes << 2)
    for (let i: usize = 0; i < bytes; i += 8) {
      const a = v128.load64_splat(scaled + i);
      const b = v128.load64_splat(scaled + bytes + i);
      const c = v128.load64_splat(scaled + 2 * bytes + i);
      const e = v128.load64_splat(scaled + 3 * bytes + i);
      for (let j = i & ~15, to = sums + (i >> 3) * bytes + j, row = x + j; j < bytes; j += 16, to += 16, row += 16) {
        let sum = v128.load(to);
        sum = f64x2.add(sum, f64x2.mul(a, v128.load(row)));
        sum = f64x2.add(sum, f64x2.mul(b, v128.load(row + bytes)));
        sum = f64x2.add(sum, f64x2.mul(c, v128.load(row + 2 * bytes)));
        sum = f64x2.add(sum, f64x2.mul(e, v128.load(row + 3 * bytes)));
        v128.store(to, sum);
      }
    }
  for (; rows > 0; rows--, x += bytes, scaled += bytes)
    for (let i: usize = 0; i < bytes; i += 8) {
      const a = v128.load64_splat(scaled + i);
      for (let j = i & ~15, to = sums + (i >> 3) * bytes + j; j < bytes; j += 16, to += 16)
        v128.store(to, f64x2.add(v128.load(to), f64x2.mul(a, v128.load(x + j))));
    }
}
