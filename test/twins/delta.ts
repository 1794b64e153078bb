import { nearest, type Shape } from "./attention.js";

const f = Math.fround;

/** Grid codes (−63 … 63) of one key: f32 map, half to even, as the kernels. `matrix` is by columns, else factors. */
export function gridCodes(key: Float32Array, map: Float32Array, matrix: boolean): number[] {
  const d = key.length;
  return Array.from(key, (x, i) => {
    let y = matrix ? (map[i] as number) : 0;
    if (matrix) for (let j = 0; j < d; j++) y = f(y + f((key[j] as number) * (map[(j + 1) * d + i] as number)));
    else y = f(f(x * (map[i] as number)) + (map[d + i] as number));
    return Math.max(-63, Math.min(63, nearest(y)));
  });
}

/**
 * The delta key matrix, straight from its definition, on quantised keys: references r_t per token. A difference counts in
 * real units, |code difference|·step; chunks and rows by their Euclidean norm. Keys of the sink are taken whole.
 */
export function references(
  codes: readonly number[][],
  steps: readonly number[],
  theta: number,
  grain: "element" | "chunk" | "row",
  sink: number,
): { rows: number[][]; dropped: number } {
  const d = steps.length;
  const size = grain === "element" ? 1 : grain === "chunk" ? 16 : d;
  const rows: number[][] = [];
  let dropped = 0;
  let r = codes[0] as number[];
  codes.forEach((key, t) => {
    if (t < sink || t === 0) r = key;
    else {
      const next = [...r];
      for (let from = 0; from < d; from += size) {
        let square = 0;
        for (let i = from; i < from + size; i++) {
          const step = steps[i] as number;
          square += (((key[i] as number) - (r[i] as number)) * step) ** 2;
        }
        if (Math.sqrt(square) > theta) for (let i = from; i < from + size; i++) next[i] = key[i] as number;
        else dropped += size;
      }
      r = next;
    }
    rows.push(r);
  });
  return { rows, dropped };
}

/**
 * The packed form of 64 references in chunk grain: for every 16 elements the bits of the keys that differ there from the key
 * before, then what those keys have there, elements first.
 */
export function packedChunks(rows: readonly (readonly number[])[]): Uint8Array {
  const d = (rows[0] as readonly number[]).length;
  const masks = new Uint8Array(Math.ceil(d / 32) * 16);
  const codes: number[] = [];
  for (let from = 0; from < d; from += 16)
    rows.forEach((row, key) => {
      const chunk = row.slice(from, from + 16);
      if (key > 0 && chunk.every((code, i) => code === rows[key - 1]?.[from + i])) return;
      const at = from / 2 + Math.floor(key / 8);
      masks[at] = (masks[at] as number) | (1 << (key % 8));
      codes.push(...chunk);
    });
  return Uint8Array.of(...masks, ...codes);
}

/** Hybrid attention in f64: whole keys (codes) in sink and window, references elsewhere. One head; `query` on the grid. */
export function deltaAttentionF64(
  query: readonly number[],
  whole: readonly number[][],
  reference: readonly number[][],
  values: readonly Float32Array[],
  windowStart: number,
  sink: number,
): number[] {
  const d = query.length;
  const scores = whole.map((key, j) => {
    const used = (j < sink || j >= windowStart ? key : reference[j]) as readonly number[];
    return query.reduce((sum, q, i) => sum + q * (used[i] as number), 0) / Math.sqrt(d);
  });
  const top = Math.max(...scores);
  const weights = scores.map((s) => Math.exp(s - top));
  const total = weights.reduce((a, b) => a + b, 0);
  return Array.from({ length: d }, (_, i) =>
    weights.reduce((sum, w, j) => sum + (w / total) * ((values[j] as Float32Array)[i] as number), 0),
  );
}

/**
 * Merged attention in f64, from its definition: keys j < `merged` with equal references form runs; a run of n keys counts
 * once, with the mean of its values and n times the weight. The rest as `deltaAttentionF64`.
 */
export function runsAttentionF64(
  query: readonly number[],
  whole: readonly number[][],
  reference: readonly number[][],
  values: readonly Float32Array[],
  windowStart: number,
  sink: number,
  merged: number,
): number[] {
  const d = query.length;
  const runs: { key: readonly number[]; count: number; mean: number[] }[] = [];
  values.forEach((value, j) => {
    const key = (j < sink || j >= windowStart ? whole[j] : reference[j]) as readonly number[];
    const last = runs.at(-1);
    if (!last || j >= merged || key.some((code, i) => code !== last.key[i]))
      runs.push({ key, count: 1, mean: Array.from(value) });
    else {
      last.count++;
      last.mean = last.mean.map((x, i) => x + ((value[i] as number) - x) / last.count);
    }
  });
  const scores = runs.map(({ key }) => query.reduce((sum, q, i) => sum + q * (key[i] as number), 0) / Math.sqrt(d));
  const top = Math.max(...scores);
  const weights = runs.map(({ count }, k) => count * Math.exp((scores[k] as number) - top));
  const total = weights.reduce((a, b) => a + b, 0);
  return Array.from({ length: d }, (_, i) =>
    runs.reduce((sum, { mean }, k) => sum + ((weights[k] as number) / total) * (mean[i] as number), 0),
  );
}

export function headRows(x: Float32Array, shape: Shape, kvHead: number): Float32Array[] {
  const { kvHeads, headDim } = shape;
  const tokens = x.length / (kvHeads * headDim);
  return Array.from({ length: tokens }, (_, t) =>
    x.slice((t * kvHeads + kvHead) * headDim, (t * kvHeads + kvHead + 1) * headDim),
  );
}
