import { SAMPLE } from "../kv/calibration.js";
import { addDots } from "./products.js";
import type { RecordedHead } from "./recorded-head.js";

/** Keys at the beginning that are never far. */
const SINK = 4;
const LEAST_WINDOW = 64;

/**
 * How much an error in the scores of far keys matters to a KV head: the mean, over the queries of a recording, of the sum
 * of squared attention weights of keys outside sink and window (independent errors of logits add up in an output by the
 * squares of their weights). Only + − × ÷ √.
 */
export function farImportance(windows: readonly RecordedHead[], d: number): number {
  let [sum, count] = [0, 0];
  const scale = 1 / Math.sqrt(d);
  for (const { keys, samples } of windows) {
    const tokens = keys.length / d;
    const group = Math.floor(samples.length / (Math.floor(tokens / SAMPLE) * d)) || 1;
    const weights = new Float64Array(4 * tokens);
    const [rows, allKeys] = [new Float64Array(samples), new Float64Array(keys)];
    const positionOf = (row: number) => (Math.floor(row / group) + 1) * SAMPLE - 1;
    const endOf = (position: number) => position - Math.max(LEAST_WINDOW, Math.round(position / 20));
    for (let first = 0; first < rows.length / d; first += 4) {
      const last = Math.min(first + 4, rows.length / d) - 1;
      if (endOf(positionOf(last)) <= SINK) continue;
      weights.fill(0);
      addDots(weights, rows, first, allKeys, positionOf(last) + 1, { d, from: 0, to: d });
      for (let row = first; row <= last; row++) {
        const position = positionOf(row);
        const end = endOf(position);
        if (end <= SINK) continue;
        const own = weights.subarray((row - first) * tokens, (row - first) * tokens + position + 1);
        const total = softmaxWeights(own, scale);
        for (let j = SINK; j < end; j++) {
          const share = (own[j] as number) / total;
          sum += share * share;
        }
        count++;
      }
    }
  }
  return count === 0 ? 1 : Math.max(sum / count, 1e-9);
}

/** Products of a query and keys become unnormalised weights; returns their sum. */
function softmaxWeights(weights: Float64Array, scale: number): number {
  let largest = -Infinity;
  for (let j = 0; j < weights.length; j++) {
    const score = (weights[j] as number) * scale;
    weights[j] = score;
    largest = Math.max(largest, score);
  }
  let total = 0;
  for (let j = 0; j < weights.length; j++) {
    const weight = exponential((weights[j] as number) - largest);
    weights[j] = weight;
    total += weight;
  }
  return total;
}

/** (1 + x / 1024)^1024 for x ≤ 0: near enough to eˣ, and the same on every machine, which `Math.exp` is not. */
export function exponential(x: number): number {
  let y = Math.max(0, 1 + x / 1024);
  for (let i = 0; i < 10; i++) y *= y;
  return y;
}
