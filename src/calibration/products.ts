// Products of many rows: every sum is taken in the order of one plain loop, several sums at a time, as one alone waits for
// each of its additions.

/** Which part of rows of `d` numbers is multiplied: elements `from` … `to` − 1. */
export interface RowPart {
  d: number;
  from: number;
  to: number;
}

/**
 * Adds to out[r · stride + t] the products of four rows of `a` with the first `count` rows of `b`, element by element in
 * their order. Rows of `a` from `first` on; those behind its end are left out.
 */
export function addDots(
  out: Float64Array,
  a: Float64Array,
  first: number,
  b: Float64Array,
  count: number,
  { d, from, to }: RowPart,
): void {
  const stride = out.length / 4;
  const last = a.length / d - 1;
  const [a0, a1, a2, a3] = [0, 1, 2, 3].map((r) => Math.min(first + r, last) * d) as [number, number, number, number];
  let t = 0;
  for (; t + 1 < count; t += 2) {
    const [b0, b1] = [t * d, t * d + d];
    let p0 = out[t] as number;
    let p1 = out[stride + t] as number;
    let p2 = out[2 * stride + t] as number;
    let p3 = out[3 * stride + t] as number;
    let q0 = out[t + 1] as number;
    let q1 = out[stride + t + 1] as number;
    let q2 = out[2 * stride + t + 1] as number;
    let q3 = out[3 * stride + t + 1] as number;
    for (let i = from; i < to; i++) {
      const x = b[b0 + i] as number;
      const y = b[b1 + i] as number;
      let w = a[a0 + i] as number;
      p0 += w * x;
      q0 += w * y;
      w = a[a1 + i] as number;
      p1 += w * x;
      q1 += w * y;
      w = a[a2 + i] as number;
      p2 += w * x;
      q2 += w * y;
      w = a[a3 + i] as number;
      p3 += w * x;
      q3 += w * y;
    }
    out[t] = p0;
    out[stride + t] = p1;
    out[2 * stride + t] = p2;
    out[3 * stride + t] = p3;
    out[t + 1] = q0;
    out[stride + t + 1] = q1;
    out[2 * stride + t + 1] = q2;
    out[3 * stride + t + 1] = q3;
  }
  if (t === count) return;
  for (const [r, row] of [a0, a1, a2, a3].entries()) {
    let sum = out[r * stride + t] as number;
    for (let i = from; i < to; i++) sum += (a[row + i] as number) * (b[t * d + i] as number);
    out[r * stride + t] = sum;
  }
}

/** matrix · key for keys [tokens][d]; `matrix` row-major [d · d]. */
export function mapKeys(matrix: Float64Array, keys: Float64Array, d: number): Float64Array {
  const tokens = keys.length / d;
  const four = new Float64Array(4 * tokens);
  const out = new Float64Array(keys.length);
  for (let i = 0; i < d; i += 4) {
    four.fill(0);
    addDots(four, matrix, i, keys, tokens, { d, from: 0, to: d });
    for (let t = 0; t < tokens; t++)
      for (let r = 0; r < 4 && i + r < d; r++) out[t * d + i + r] = four[r * tokens + t] as number;
  }
  return out;
}

/** sums[i][j] += scale · x[t][i] · x[t][j] over all rows t in their order, for i ≤ j; `sums` row-major [d · d]. */
export function addOuterProducts(sums: Float64Array, x: Float64Array, scaled: Float64Array, d: number): void {
  let at = 0;
  for (; at + 4 * d <= x.length; at += 4 * d)
    for (let i = 0; i < d; i++) {
      const a = scaled[at + i] as number;
      const b = scaled[at + d + i] as number;
      const c = scaled[at + 2 * d + i] as number;
      const e = scaled[at + 3 * d + i] as number;
      for (let j = i, to = i * d + i, from = at + i; j < d; j++, to++, from++)
        sums[to] =
          (sums[to] as number) +
          a * (x[from] as number) +
          b * (x[from + d] as number) +
          c * (x[from + 2 * d] as number) +
          e * (x[from + 3 * d] as number);
    }
  for (; at < x.length; at += d)
    for (let i = 0; i < d; i++)
      for (let j = i; j < d; j++)
        sums[i * d + j] = (sums[i * d + j] as number) + (scaled[at + i] as number) * (x[at + j] as number);
}

/** Copies what is above the diagonal to below it. */
export function mirror(sums: Float64Array, d: number): void {
  for (let i = 0; i < d; i++) for (let j = 0; j < i; j++) sums[i * d + j] = sums[j * d + i] as number;
}
