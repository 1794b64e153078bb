import { SAMPLE } from "../kv/calibration.js";
import { fourRows } from "./products.js";
import type { RecordedHead } from "./recorded-head.js";
import type { Workspace } from "./workspace.js";

/** Keys at the beginning that are never far. */
const SINK = 4;
const LEAST_WINDOW = 64;

/**
 * How much an error in the scores of far keys matters to a KV head: the mean, over the queries of a recording, of the sum
 * of squared attention weights of keys outside sink and window (independent errors of logits add up in an output by the
 * squares of their weights). Only + − × ÷ √.
 * @param keys of each window, [tokens][d]
 */
export function farImportance(
  space: Workspace,
  windows: readonly RecordedHead[],
  keys: readonly Float64Array[],
  d: number,
): number {
  let [sum, count] = [0, 0];
  const scale = 1 / Math.sqrt(d);
  const { kernels } = space;
  windows.forEach(({ samples }, w) => {
    const own = keys[w] as Float64Array;
    const tokens = own.length / d;
    const group = Math.floor(samples.length / (Math.floor(tokens / SAMPLE) * d)) || 1;
    space.within(() => {
      const weights = space.numbers(4 * tokens).byteOffset;
      const totals = space.numbers(4);
      for (let row = 0; row < samples.length / d; row += group) {
        const position = (row / group + 1) * SAMPLE - 1;
        const end = position - Math.max(LEAST_WINDOW, Math.round(position / 20));
        if (end <= SINK) continue;
        for (let head = 0; head < group; head += 4) {
          const count = Math.min(4, group - head);
          const queries = samples.subarray((row + head) * d, (row + head + count) * d);
          space.within(() => {
            const rows = fourRows(space, queries, 0, d).byteOffset;
            kernels.calibration_dots(weights, 32, rows, own.byteOffset, position + 1, 0, d, d);
          });
          kernels.calibration_weights(weights, position + 1, scale, totals.byteOffset);
          for (let r = 0; r < count; r++)
            sum = kernels.calibration_squares(weights + 32 * SINK + 8 * r, end - SINK, totals[r] as number, sum);
        }
        count += group;
      }
    });
  });
  return count === 0 ? 1 : Math.max(sum / count, 1e-9);
}
