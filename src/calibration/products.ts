import type { Workspace } from "./workspace.js";

/** Four rows of [count][d] from `first` on, interleaved as the kernels of products want them: [d][4]; 0 behind the last one. */
export function fourRows(space: Workspace, rows: ArrayLike<number>, first: number, d: number): Float64Array {
  const out = space.numbers(4 * d);
  for (let r = 0; r < 4; r++) for (let i = 0; i < d; i++) out[4 * i + r] = rows[(first + r) * d + i] ?? 0;
  return out;
}

/** matrix · key for keys [tokens][d]; `matrix` row-major [d · d], d a multiple of 4. */
export function mapKeys(space: Workspace, matrix: Float64Array, keys: Float64Array, d: number): Float64Array {
  const out = space.numbers(keys.length);
  space.within(() => {
    for (let i = 0; i < d; i += 4) {
      const rows = fourRows(space, matrix, i, d).byteOffset;
      space.kernels.calibration_dots(out.byteOffset + 8 * i, 8 * d, rows, keys.byteOffset, keys.length / d, 0, d, d);
    }
  });
  return out;
}

/** sums[i][j] += scaled[t][i] · x[t][j] over all rows t in their order, for i ≤ j; `sums` row-major [d · d]. */
export function addOuterProducts(
  { kernels }: Workspace,
  sums: Float64Array,
  x: Float64Array,
  scaled: Float64Array,
  d: number,
): void {
  kernels.calibration_outer(sums.byteOffset, x.byteOffset, scaled.byteOffset, x.length / d, d);
}

/** Copies what is above the diagonal to below it. */
export function mirror(sums: Float64Array, d: number): void {
  for (let i = 0; i < d; i++) for (let j = 0; j < i; j++) sums[i * d + j] = sums[j * d + i] as number;
}
