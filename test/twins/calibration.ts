/** Plain twins of assembly/calibration: the same numbers in the same order, f64. */

/** out[k][r] (+)= Σ rows[i][r] · keys[k][i]; rows of `out` have `width` numbers. Goes on where `from` is above 0. */
export function calibrationDots(
  out: Float64Array,
  width: number,
  rows: Float64Array,
  keys: Float64Array,
  { from, to, d }: { from: number; to: number; d: number },
): void {
  for (let k = 0; k < keys.length / d; k++)
    for (let r = 0; r < 4; r++) {
      let sum = from > 0 ? (out[k * width + r] as number) : 0;
      for (let i = from; i < to; i++) sum += (rows[4 * i + r] as number) * (keys[k * d + i] as number);
      out[k * width + r] = sum;
    }
}

/** sums[i][j] += scaled[t][i] · x[t][j] for i ≤ j. */
export function calibrationOuter(sums: Float64Array, x: Float64Array, scaled: Float64Array, d: number): void {
  for (let at = 0; at < x.length; at += d)
    for (let i = 0; i < d; i++)
      for (let j = i; j < d; j++)
        sums[i * d + j] = (sums[i * d + j] as number) + (scaled[at + i] as number) * (x[at + j] as number);
}

export function calibrationCodes(keys: Float64Array, centers: Float64Array, steps: Float64Array): Float64Array {
  const d = steps.length;
  return keys.map((key, at) => {
    const x = (key - (centers[at % d] as number)) / (steps[at % d] as number);
    const floor = Math.floor(x);
    const rest = x - floor;
    const code = rest < 0.5 || (rest === 0.5 && floor % 2 === 0) ? floor : floor + 1;
    return Math.max(-63, Math.min(63, code));
  });
}

export function calibrationWalkElements(codes: Int8Array, most: Int8Array): number {
  const d = most.length;
  const reference = codes.slice(0, d);
  let kept = 0;
  for (let at = d; at < codes.length; at++) {
    const code = codes[at] as number;
    if (Math.abs(code - (reference[at % d] as number)) <= (most[at % d] as number)) continue;
    kept++;
    reference[at % d] = code;
  }
  return kept;
}

/** Of the first `squares.length` elements of each token. */
export function calibrationWalkBlock(
  codes: Float64Array,
  squares: Float64Array,
  limits: Float64Array,
  d: number,
): number[] {
  const size = squares.length;
  return Array.from(limits, (limit) => {
    let kept = 0;
    let reference = codes.subarray(0, size);
    for (let at = d; at < codes.length; at += d) {
      const sum = squares.reduce((sum, square, i) => {
        const e = (codes[at + i] as number) - (reference[i] as number);
        return sum + e * e * square;
      }, 0);
      if (!(sum > limit)) continue;
      kept++;
      reference = codes.subarray(at, at + size);
    }
    return kept;
  });
}

/** Four rows of products [count][4] become weights in place; returns their sums. */
export function calibrationWeights(x: Float64Array, scale: number): number[] {
  return [0, 1, 2, 3].map((r) => {
    let [most, total] = [-Infinity, 0];
    for (let at = r; at < x.length; at += 4) most = Math.max(most, (x[at] as number) * scale);
    for (let at = r; at < x.length; at += 4) {
      let y = Math.max(0, 1 + ((x[at] as number) * scale - most) / 1024);
      for (let i = 0; i < 10; i++) y *= y;
      x[at] = y;
      total += y;
    }
    return total;
  });
}

export function calibrationSquares(x: Float64Array, row: number, total: number, sum: number): number {
  for (let at = row; at < x.length; at += 4) sum += ((x[at] as number) / total) * ((x[at] as number) / total);
  return sum;
}

/** Of the first row of `weights` [keys][4]. */
export function calibrationOutputs(
  out: Float64Array,
  weights: Float64Array,
  buckets: Uint8Array,
  values: Float32Array,
  d: number,
): void {
  for (let k = 0; k < 4 * buckets.length; k++) {
    const bucket = (buckets[k >> 2] as number) * (d + 2);
    const weight = weights[4 * k] as number;
    out[bucket] = (out[bucket] as number) + weight;
    if (!(weight > 1e-9)) continue;
    for (let i = 0; i < d; i++)
      out[bucket + 2 + i] = (out[bucket + 2 + i] as number) + weight * (values[k * d + i] as number);
  }
}
