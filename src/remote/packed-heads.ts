import type { HeadStats } from "../kv/counters.js";

/** Numbers of a head. */
const WIDTH = 7;

/** Statistics by head as plain numbers: some hundred objects take longer to clone than a session to be disposed of. */
export function packHeads(heads: readonly HeadStats[]): Float64Array {
  const packed = new Float64Array(heads.length * WIDTH);
  heads.forEach(({ layer, kvHead, stage, deltaSparsity, skippedValues, selected }, i) => {
    const { completedGroups = Number.NaN, groups = Number.NaN } = selected ?? {};
    packed.set(
      [layer, kvHead, Number(stage === "decode"), deltaSparsity, skippedValues, completedGroups, groups],
      i * WIDTH,
    );
  });
  return packed;
}

/** What was packed. */
export function unpackHeads(packed: Float64Array): HeadStats[] {
  return Array.from({ length: packed.length / WIDTH }, (_, i) => {
    const [layer, kvHead, stage, deltaSparsity, skippedValues, completedGroups, groups] = packed.subarray(
      i * WIDTH,
    ) as unknown as [number, number, number, number, number, number, number];
    return {
      layer,
      kvHead,
      stage: stage ? "decode" : "prefill",
      deltaSparsity,
      skippedValues,
      ...(Number.isNaN(groups) ? {} : { selected: { completedGroups, groups } }),
    };
  });
}
