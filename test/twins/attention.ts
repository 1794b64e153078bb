const f = Math.fround;

/** Half-to-even rounding of a float. */
export function nearest(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest < 0.5) return floor;
  if (rest > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** The same operations in the same order as `expF32x4`. */
export function expF32(value: number): number {
  const x = Math.max(-87, Math.min(88, value));
  const n = nearest(f(x * f(Math.LOG2E)));
  let r = f(x - f(n * f(0.693359375)));
  r = f(r - f(n * f(-2.1219444e-4)));
  let p = f(1.98756915e-4);
  for (const c of [1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1])
    p = f(f(p * r) + f(c));
  p = f(f(f(f(p * r) * r) + r) + 1);
  return f(p * 2 ** n);
}

/** 2^x for −126 < x ≤ 0 with the operations and order of `rowWeights`. */
export function exp2F32(value: number): number {
  const x = Math.max(-80, value);
  const n = nearest(x);
  const r = f(x - n);
  let p = f(f(f(1.5353361883195e-4) * r) + f(1.339887440266574e-3));
  for (const c of [9.61843735767464e-3, 5.550332471162809e-2, 2.402264791363012e-1, 6.931472028550421e-1, 1])
    p = f(f(p * r) + f(c));
  return p * 2 ** n;
}

export interface Shape {
  heads: number;
  kvHeads: number;
  headDim: number;
}

/** Softmax attention in f64; arrays are [tokens][heads][headDim]. The result is for the query tokens `from` … */
export function attentionF64(
  shape: Shape,
  queries: Float32Array,
  keys: Float32Array,
  values: Float32Array,
  from: number,
): Float64Array {
  const { heads, kvHeads, headDim } = shape;
  const group = heads / kvHeads;
  const tokens = queries.length / (heads * headDim);
  const out = new Float64Array(queries.length);
  for (let t = 0; t < tokens; t++)
    for (let h = 0; h < heads; h++) {
      const q = (t * heads + h) * headDim;
      const kv = Math.floor(h / group);
      const scores: number[] = [];
      for (let k = 0; k <= from + t; k++) {
        let sum = 0;
        for (let i = 0; i < headDim; i++)
          sum += (queries[q + i] as number) * (keys[(k * kvHeads + kv) * headDim + i] as number);
        scores.push(sum / Math.sqrt(headDim));
      }
      const top = Math.max(...scores);
      const weights = scores.map((x) => Math.exp(x - top));
      const total = weights.reduce((a, b) => a + b, 0);
      weights.forEach((w, k) => {
        for (let i = 0; i < headDim; i++)
          (out[q + i] as number) += (w / total) * (values[(k * kvHeads + kv) * headDim + i] as number);
      });
    }
  return out;
}

function quantise(x: Float32Array, most: number): { codes: number[]; scale: number; largest: number } {
  let largest = 0;
  for (const value of x) largest = Math.max(largest, Math.abs(value));
  const inverse = largest > 0 ? f(most / largest) : 0;
  const codes = Array.from(x, (value) => Math.max(-most, Math.min(most, nearest(f(value * inverse)))));
  return { codes, scale: f(largest / most), largest };
}

const sum4 = (x: number[]) => f(f((x[0] as number) + (x[2] as number)) + f((x[1] as number) + (x[3] as number)));

interface Entry {
  /** Score of the key, not yet scaled. */
  score: number;
  /** Keys of the run; 1 where nothing is merged. */
  count: number;
  value: { codes: number[]; scale: number };
}

/** Keys in a row with equal codes become one entry with the mean of their values, rounded to 8 bits. */
function merge(entries: Entry[], codes: readonly (readonly number[])[], start: number): Entry[] {
  const runs: { entry: Entry; sum: number[] }[] = [];
  entries.forEach((entry, k) => {
    const real = entry.value.codes.map((code) => f(code * entry.value.scale));
    const last = runs.at(-1);
    if (!last || codes[start + k]?.some((code, i) => code !== codes[start + k - 1]?.[i]))
      runs.push({ entry: { ...entry }, sum: real });
    else {
      last.entry.count++;
      last.sum = last.sum.map((x, i) => f(x + (real[i] as number)));
    }
  });
  return runs.map(({ entry, sum }) =>
    entry.count === 1
      ? entry
      : {
          ...entry,
          value: quantise(
            Float32Array.from(sum, (x) => f(x / entry.count)),
            127,
          ),
        },
  );
}

/**
 * One query against keys and values of one head, step by step what the int8 kernels do; exact to the bit. With `codes`, the
 * keys on a grid, the query is in units of the grid's steps and `keys` are not read. `long`: queries of 15 bits. The first
 * `merged` spans of 256 keys are taken as runs. Keys outside the groups of 4 that are `wanted` weigh nothing.
 */
export function attentionInt8(
  query: Float32Array,
  keys: Float32Array[],
  values: Float32Array[],
  codes?: readonly (readonly number[])[],
  long = false,
  merged = 0,
  wanted?: readonly boolean[],
): Float32Array {
  const d = query.length;
  const q = quantise(query, long ? 16319 : 127);
  const scale = f(q.scale * f(1 / f(Math.sqrt(d))));
  let state: { m: number; l: number; acc: Float32Array } | undefined;
  for (let start = 0; start < values.length; start += 512) {
    const count = Math.min(512, values.length - start);
    const isWanted = (k: number) => wanted?.[(start + k) >> 2] !== false;
    if (!Array.from({ length: count }, (_, k) => k).some(isWanted)) continue;
    const entries = Array.from({ length: count }, (_, k): Entry => {
      const onGrid = codes?.[start + k];
      const key = onGrid ? { codes: onGrid, scale: 1 } : quantise(keys[start + k] as Float32Array, 63);
      let dot = 0;
      for (let i = 0; i < d; i++) dot += (q.codes[i] as number) * (key.codes[i] as number);
      return {
        score: f(dot * key.scale),
        count: isWanted(k) ? 1 : 0,
        value: quantise(values[start + k] as Float32Array, 127),
      };
    });
    const tiles: Entry[][] = [];
    for (let span = 0; span < count; span += 256) {
      let some = entries.slice(span, span + 256);
      if ((start + span) / 256 < merged) some = merge(some, codes ?? [], start + span);
      for (let k = 0; k < some.length; k += 64) tiles.push(some.slice(k, k + 64));
    }
    const top = Math.max(...entries.map((entry) => (entry.count ? entry.score : -Infinity)));
    const lanes = [0, 0, 0, 0];
    const acc = new Float32Array(d);
    tiles.forEach((tile, t) => {
      const weights = tile.map((entry, k) => {
        const p = exp2F32(f(f(entry.score - top) * f(scale * f(Math.LOG2E))));
        lanes[k % 4] = f((lanes[k % 4] as number) + f(p * entry.count));
        return f(p * f(entry.count * entry.value.scale));
      });
      const largest = Math.max(...weights);
      const inverse = largest > 0 ? f(127 / largest) : 0;
      const tileScale = f(largest / 127);
      const parts = weights.map((w) => Math.min(127, nearest(f(w * inverse))));
      for (let i = 0; i < d; i++) {
        let sum = 0;
        tile.forEach((entry, k) => {
          sum += (parts[k] as number) * (entry.value.codes[i] as number);
        });
        const x = f(sum * tileScale);
        acc[i] = t ? f((acc[i] as number) + x) : x;
      }
    });
    const part = { m: f(top * scale), l: sum4(lanes), acc };
    if (!state) state = part;
    else {
      const most = Math.max(state.m, part.m);
      const a = expF32(f(state.m - most));
      const b = expF32(f(part.m - most));
      const old = state;
      state = {
        m: most,
        l: f(f(old.l * a) + f(part.l * b)),
        acc: acc.map((x, i) => f(f((old.acc[i] as number) * a) + f(x * b))),
      };
    }
  }
  return state ? state.acc.map((x) => f(x / (state as { l: number }).l)) : new Float32Array(d);
}
