import { eigenSymmetric, multiply } from "../kv/symmetric.js";
import { addOuterProducts, mirror } from "./products.js";
import type { RecordedHead } from "./recorded-head.js";
import { turnedKeys } from "./turns.js";
import type { Workspace } from "./workspace.js";

/** The map A of the score basis, row-major [d · d], see docs/delta-attention.md; `keys` of each window, [tokens][d]. */
export function scoreBasis(
  space: Workspace,
  windows: readonly RecordedHead[],
  keys: readonly Float64Array[],
  d: number,
  turns: readonly Float32Array[],
): Float64Array {
  const moments = new Float64Array(d * d);
  windows.forEach(({ queryMoments }) => {
    for (let i = 0; i < moments.length; i++) moments[i] = (moments[i] as number) + (queryMoments[i] as number);
  });
  const differences = differenceMoments(space, keys, d);
  const m = averageTurned(moments, d, turns);
  let trace = 0;
  for (let i = 0; i < d; i++) trace += m[i * d + i] as number;
  const ridge = (0.001 * trace) / d || 1;
  const count = windows.reduce((sum, { queries }) => sum + queries, 0);
  for (let i = 0; i < d; i++) (m[i * d + i] as number) += ridge;
  const c = averageTurned(differences, d, turns);
  const { values, vectors } = eigenSymmetric(m, d);
  // W = V·√λ·Vᵀ with the eigenvectors in the rows of `vectors`.
  const scaled = vectors.map((x, at) => x * Math.sqrt(Math.max(0, values[Math.floor(at / d)] as number) / count));
  const w = multiply(transpose(vectors, d), scaled, d);
  const turned = eigenSymmetric(symmetric(multiply(multiply(w, c, d), w, d), d), d).vectors;
  const root = Math.sqrt(d);
  return multiply(turned, w, d).map((x) => x / root);
}

/** Mean of R·X·Rᵀ over the rotations R of `turns`. */
function averageTurned(x: Float64Array, d: number, turns: readonly Float32Array[]): Float64Array {
  const out = new Float64Array(d * d);
  for (const by of turns) {
    const columns = transpose(turnedKeys(x, by, d), d);
    turnedKeys(columns, by, d).forEach((value, at) => {
      (out[at] as number) += value / turns.length;
    });
  }
  return symmetric(out, d);
}

function transpose(x: Float64Array, d: number): Float64Array {
  return x.map((_, at) => x[(at % d) * d + Math.floor(at / d)] as number);
}

function symmetric(x: Float64Array, d: number): Float64Array {
  return x.map((value, at) => (value + (x[(at % d) * d + Math.floor(at / d)] as number)) / 2);
}

/** Σ (k' − k)·(k' − k)ᵀ over neighbouring keys. */
function differenceMoments(space: Workspace, keys: readonly Float64Array[], d: number): Float64Array {
  return space.within(() => {
    const sums = space.numbers(d * d).fill(0);
    for (const list of keys)
      space.within(() => {
        const steps = space.numbers(list.length - d);
        for (let at = 0; at < steps.length; at++) steps[at] = (list[at + d] as number) - (list[at] as number);
        addOuterProducts(space, sums, steps, steps, d);
      });
    mirror(sums, d);
    return sums.slice();
  });
}
