/** Thresholds that are walked at the same time: one alone waits for each of its additions. */
export const WALKS = 4;
/** Largest difference of two codes. */
const FARTHEST = 126;

/**
 * The walk of delta attention over grid codes, `windows` of [tokens][d], which are dropped `size` elements at a time.
 * @returns a function from up to `WALKS` thresholds to the share each drops
 */
export function droppedShares(
  windows: readonly Int16Array[],
  steps: readonly number[],
  size: number,
): (thetas: readonly number[]) => number[] {
  const squares = Float64Array.from(steps, (step) => step * step);
  const seen = windows.reduce((sum, { length }) => sum + length, 0);
  const walks = size === 1 ? elementWalks(windows, squares) : blockWalks(windows, squares, size);
  return (thetas) => {
    const limits = Float64Array.from({ length: WALKS }, (_, i) => (thetas[i] ?? 0) * (thetas[i] ?? 0));
    return walks
      .reduce(
        (sums, walk) => walk(limits).map((dropped, i) => dropped + (sums[i] as number)),
        new Array<number>(WALKS).fill(0),
      )
      .map((dropped) => dropped / seen);
  };
}

type Walk = (limits: Float64Array) => number[];

/** Elements one by one: whether one is kept depends on an integer, the difference of two codes. */
function elementWalks(windows: readonly Int16Array[], squares: Float64Array): Walk[] {
  const d = squares.length;
  return windows.map((codes) => {
    const tokens = codes.length / d;
    const columns = new Int8Array(codes.length);
    for (let t = 0, at = 0; t < tokens; t++)
      for (let i = 0; i < d; i++, at++) columns[i * tokens + t] = codes[at] as number;
    return (limits) => {
      const dropped = new Array<number>(WALKS).fill(0);
      squares.forEach((square, i) => {
        const most = Array.from(limits, (limit) => largestDropped(square, limit));
        walkColumn(columns.subarray(i * tokens, (i + 1) * tokens), most).forEach((kept, w) => {
          (dropped[w] as number) += tokens - 1 - kept;
        });
      });
      return dropped;
    };
  });
}

/** The largest difference whose weighted square is not above `limit`. */
function largestDropped(square: number, limit: number): number {
  let most = 0;
  while (most < FARTHEST && !((most + 1) * (most + 1) * square > limit)) most++;
  return most;
}

/** How often each of four walks along one element keeps it. No branches: which way they go cannot be foreseen. */
function walkColumn(codes: Int8Array, most: readonly number[]): number[] {
  const [m0, m1, m2, m3] = most as [number, number, number, number];
  const start = codes[0] as number;
  let [r0, r1, r2, r3] = [start, start, start, start];
  let [k0, k1, k2, k3] = [0, 0, 0, 0];
  for (let t = 1; t < codes.length; t++) {
    const code = codes[t] as number;
    // −1 in every bit where the difference is larger, else 0.
    let e = (code - r0) | 0;
    let over = (m0 - ((e ^ (e >> 31)) - (e >> 31))) >> 31;
    r0 = (r0 + (e & over)) | 0;
    k0 = (k0 - over) | 0;
    e = (code - r1) | 0;
    over = (m1 - ((e ^ (e >> 31)) - (e >> 31))) >> 31;
    r1 = (r1 + (e & over)) | 0;
    k1 = (k1 - over) | 0;
    e = (code - r2) | 0;
    over = (m2 - ((e ^ (e >> 31)) - (e >> 31))) >> 31;
    r2 = (r2 + (e & over)) | 0;
    k2 = (k2 - over) | 0;
    e = (code - r3) | 0;
    over = (m3 - ((e ^ (e >> 31)) - (e >> 31))) >> 31;
    r3 = (r3 + (e & over)) | 0;
    k3 = (k3 - over) | 0;
  }
  return [k0, k1, k2, k3];
}

/** Chunks or rows: `size` elements are kept when the sum of their weighted squares, in their order, is above the limit. */
function blockWalks(windows: readonly Int16Array[], squares: Float64Array, size: number): Walk[] {
  const d = squares.length;
  const references = new Float64Array(WALKS * size);
  return windows.map((window) => {
    const codes = new Float64Array(window);
    return (limits) => {
      const dropped = new Array<number>(WALKS).fill(0);
      for (let from = 0; from < d; from += size) {
        for (let w = 0; w < WALKS; w++) references.set(codes.subarray(from, from + size), w * size);
        walkBlock(codes, references, squares, { from, size, d }, limits).forEach((kept, w) => {
          (dropped[w] as number) += (codes.length / d - 1 - kept) * size;
        });
      }
      return dropped;
    };
  });
}

/** How often each of four walks along one chunk or row keeps it. `references` [walk][size], the first token's at the start. */
function walkBlock(
  codes: Float64Array,
  references: Float64Array,
  squares: Float64Array,
  { from, size, d }: { from: number; size: number; d: number },
  limits: Float64Array,
): number[] {
  const kept = [0, 0, 0, 0];
  const sums = new Float64Array(WALKS);
  for (let at = d + from; at < codes.length; at += d) {
    let [s0, s1, s2, s3] = [0, 0, 0, 0];
    for (let i = 0; i < size; i++) {
      const code = codes[at + i] as number;
      const square = squares[from + i] as number;
      let e = code - (references[i] as number);
      s0 += e * e * square;
      e = code - (references[size + i] as number);
      s1 += e * e * square;
      e = code - (references[2 * size + i] as number);
      s2 += e * e * square;
      e = code - (references[3 * size + i] as number);
      s3 += e * e * square;
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
    for (let w = 0; w < WALKS; w++)
      if ((sums[w] as number) > (limits[w] as number)) {
        (kept[w] as number)++;
        for (let i = 0, to = w * size; i < size; i++, to++) references[to] = codes[at + i] as number;
      }
  }
  return kept;
}
