import { SPARSITIES } from "../kv/calibration.js";

/** What thresholds drop of the differences of one layer and KV head; both rise, from threshold 0 on. */
export type SparsityCurve = readonly { theta: number; sparsity: number }[];

/** Measures a curve on grid codes, `windows` of [tokens][d]. */
export function sparsityCurve(
  windows: readonly Int16Array[],
  steps: readonly number[],
  grain: "element" | "chunk" | "row",
): SparsityCurve {
  const d = steps.length;
  const size = grain === "element" ? 1 : grain === "chunk" ? 16 : d;
  const norm = Math.sqrt(steps.reduce((sum, x) => sum + x * x, 0) / d) * Math.sqrt(size);
  const known = [{ theta: 0, sparsity: sparsityAt(windows, steps, size, 0) }];
  for (let theta = norm / 2; theta < norm * 250; theta *= 1.3) {
    const sparsity = sparsityAt(windows, steps, size, theta);
    known.push({ theta, sparsity: Math.max(sparsity, known.at(-1)?.sparsity ?? 0) });
    if (sparsity > 0.97) break;
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

/** The walk of delta attention over grid codes; returns the share dropped. */
function sparsityAt(windows: readonly Int16Array[], steps: readonly number[], size: number, theta: number): number {
  const d = steps.length;
  const squares = Float64Array.from(steps, (step) => step * step);
  const limit = theta * theta;
  const r = new Int16Array(d);
  let [dropped, seen] = [0, 0];
  for (const codes of windows) {
    r.set(codes.subarray(0, d));
    seen += codes.length;
    for (let at = d; at < codes.length; at += d)
      for (let from = 0; from < d; from += size) {
        let square = 0;
        for (let i = from; i < from + size; i++) {
          const e = (codes[at + i] as number) - (r[i] as number);
          square += e * e * (squares[i] as number);
        }
        if (square > limit) for (let i = from; i < from + size; i++) r[i] = codes[at + i] as number;
        else dropped += size;
      }
  }
  return dropped / seen;
}
