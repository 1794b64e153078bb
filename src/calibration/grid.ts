/** Six digits are enough, and keep the file small. */
export const six = (x: number) => Number(x.toPrecision(6));

/** Largest code of the grid. */
const LARGEST = 63;
/** Share of the turned keys that may fall off either end of the grid. */
const RARE = 0.002;

/** Keys by which a grid is laid: those of each window where they are, and others by one more turn. */
export interface SeenKeys {
  here: Float64Array[];
  elsewhere: Float64Array;
}

/** The grid in which all keys fall, but for a few of those elsewhere. */
export function grid({ here, elsewhere }: SeenKeys, d: number): { steps: number[]; centers: number[] } {
  const low = new Float64Array(d).fill(Number.POSITIVE_INFINITY);
  const high = new Float64Array(d).fill(-Infinity);
  for (const keys of here)
    for (let at = 0; at < keys.length; at += d)
      for (let i = 0; i < d; i++) {
        const x = keys[at + i] as number;
        if (x < (low[i] as number)) low[i] = x;
        if (x > (high[i] as number)) high[i] = x;
      }
  const count = elsewhere.length / d;
  const rare = Math.floor(count * RARE);
  for (let i = 0; i < d && count > 0; i++) {
    low[i] = Math.min(low[i] as number, nthSmallest(elsewhere, i, d, rare, 1));
    high[i] = Math.max(high[i] as number, -nthSmallest(elsewhere, i, d, rare, -1));
  }
  const middle = (i: number, side: 1 | -1) => ((high[i] as number) + side * (low[i] as number)) / 2;
  return {
    centers: Array.from(low, (_, i) => six(middle(i, 1))),
    steps: Array.from(low, (_, i) => stepOf(middle(i, -1))),
  };
}

/** The number after the `n` smallest of sign · x[first], sign · x[first + step] …; a sorted list of those is kept. */
function nthSmallest(x: Float64Array, first: number, step: number, n: number, sign: 1 | -1): number {
  const smallest = new Float64Array(n + 1).fill(Number.POSITIVE_INFINITY);
  for (let at = first; at < x.length; at += step) {
    const value = sign * (x[at] as number);
    if (!(value < (smallest[n] as number))) continue;
    let to = n;
    for (; to > 0 && (smallest[to - 1] as number) > value; to--) smallest[to] = smallest[to - 1] as number;
    smallest[to] = value;
  }
  return smallest[n] as number;
}

function stepOf(size: number): number {
  return six(Math.max(1e-6, size) / LARGEST);
}
