import { SPARSITIES } from "../kv/calibration.js";
import { type Codes, droppedShares, WALKS } from "./walk.js";
import type { Workspace } from "./workspace.js";

/** What thresholds drop of the differences of one layer and KV head; both rise, from threshold 0 on. */
export type SparsityCurve = readonly { theta: number; sparsity: number }[];

/** Measures a curve on the grid codes of windows. */
export function sparsityCurve(
  space: Workspace,
  windows: readonly Codes[],
  steps: readonly number[],
  grain: "element" | "chunk" | "row",
): SparsityCurve {
  const d = steps.length;
  const size = grain === "element" ? 1 : grain === "chunk" ? 16 : d;
  const norm = Math.sqrt(steps.reduce((sum, x) => sum + x * x, 0) / d) * Math.sqrt(size);
  const thetas = [0];
  for (let theta = norm / 2; theta < norm * 250; theta *= 1.3) thetas.push(theta);
  const shares = droppedShares(space, windows, steps, size);
  const known: { theta: number; sparsity: number }[] = [];
  for (let first = 0; first < thetas.length; first += WALKS) {
    const some = thetas.slice(first, first + WALKS);
    for (const [i, sparsity] of shares(some).slice(0, some.length).entries()) {
      known.push({ theta: some[i] as number, sparsity: Math.max(sparsity, known.at(-1)?.sparsity ?? 0) });
      if (sparsity > 0.97 && known.length > 1) return known;
    }
  }
  return known;
}

/** Thresholds at which this head reaches each of `SPARSITIES` by itself. */
export function equalThresholds(curve: SparsityCurve): number[] {
  return SPARSITIES.map((target) => {
    const above = curve.findIndex(({ sparsity }) => sparsity >= target);
    if (above < 0) return curve.at(-1)?.theta ?? 0;
    const [low, high] = [curve[above - 1], curve[above]];
    if (!low || !high || high.sparsity === low.sparsity) return high?.theta ?? 0;
    return low.theta + ((high.theta - low.theta) * (target - low.sparsity)) / (high.sparsity - low.sparsity);
  });
}

/**
 * Thresholds with which all heads together reach each of `SPARSITIES`: in each head those of equal sparsity, divided by
 * the fourth root of the head's importance. Thresholds of the score basis are errors of logits, which matter to a head as
 * much as it attends to far keys. Returns one list per curve.
 * @param importance of each curve's head, see importance.ts
 */
export function balancedThresholds(curves: readonly SparsityCurve[], importance: readonly number[]): number[][] {
  const equal = curves.map(equalThresholds);
  const factors = importance.map((x) => Math.sqrt(Math.sqrt(x)));
  const balanced = equal.map((): number[] => []);
  SPARSITIES.forEach((target, at) => {
    const own = equal.map((list, i) => (list[at] as number) / (factors[i] as number));
    const reached = (factor: number) =>
      curves.reduce((sum, curve, i) => sum + sparsityOn(curve, factor * (own[i] as number)), 0) / curves.length;
    let [low, high] = [0, 1];
    for (let i = 0; i < 40 && reached(high) < target; i++) high *= 2;
    for (let i = 0; i < 40; i++) {
      const middle = (low + high) / 2;
      if (reached(middle) < target) low = middle;
      else high = middle;
    }
    own.forEach((theta, i) => {
      balanced[i]?.push(high * theta);
    });
  });
  return balanced;
}

function sparsityOn(curve: SparsityCurve, theta: number): number {
  const above = curve.findIndex((point) => point.theta >= theta);
  const high = curve[above];
  if (!high) return curve.at(-1)?.sparsity ?? 0;
  const low = curve[above - 1] ?? high;
  if (high.theta === low.theta) return high.sparsity;
  return low.sparsity + ((high.sparsity - low.sparsity) * (theta - low.theta)) / (high.theta - low.theta);
}
