import { SAMPLE } from "../kv/calibration.js";
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
  for (const { keys, samples } of windows) {
    const tokens = keys.length / d;
    const group = Math.floor(samples.length / (Math.floor(tokens / SAMPLE) * d)) || 1;
    const weights = new Float64Array(tokens);
    for (let row = 0; row < samples.length / d; row++) {
      const position = (Math.floor(row / group) + 1) * SAMPLE - 1;
      const end = position - Math.max(LEAST_WINDOW, Math.round(position / 20));
      if (end <= SINK) continue;
      const total = softmaxWeights(weights, samples.subarray(row * d, (row + 1) * d), keys, position + 1);
      for (let j = SINK; j < end; j++) sum += ((weights[j] as number) / total) ** 2;
      count++;
    }
  }
  return count === 0 ? 1 : Math.max(sum / count, 1e-9);
}

/** Unnormalised weights of the first `count` keys; returns their sum. */
function softmaxWeights(weights: Float64Array, query: Float32Array, keys: Float32Array, count: number): number {
  const d = query.length;
  const scale = 1 / Math.sqrt(d);
  let largest = -Infinity;
  for (let j = 0; j < count; j++) {
    let score = 0;
    for (let i = 0, at = j * d; i < d; i++, at++) score += (query[i] as number) * (keys[at] as number);
    weights[j] = score * scale;
    largest = Math.max(largest, score * scale);
  }
  let total = 0;
  for (let j = 0; j < count; j++) total += weights[j] = exponential((weights[j] as number) - largest);
  return total;
}

/** (1 + x / 1024)^1024 for x ≤ 0: near enough to eˣ, and the same on every machine, which `Math.exp` is not. */
export function exponential(x: number): number {
  let y = Math.max(0, 1 + x / 1024);
  for (let i = 0; i < 10; i++) y *= y;
  return y;
}
