import type { Memory } from "../runtime/memory.js";
import { BlockCache } from "./block-cache.js";
import type { KeyValueCache } from "./cache.js";
import type { RecordedHead } from "./calibrate.js";
import { BLOCK, SAMPLE } from "./layout.js";

/**
 * What a cache made with `record: true` has seen since it was made, by layer · kvHeads + KV head.
 * The keys are those of the tokens it holds now.
 */
export function readRecording(cache: KeyValueCache, memory: Memory): RecordedHead[] {
  const { record, layers, kvHeads, heads, headDim: d } = cache.descriptor;
  if (!(cache instanceof BlockCache) || record === undefined) throw new Error("this cache does not record");
  const { length } = cache;
  return Array.from({ length: layers * kvHeads }, (_, index) => {
    const keys = new Float32Array(length * d);
    for (let from = 0; from < length; from += BLOCK) {
      const address = cache.keys.block(from / BLOCK)?.address ?? 0;
      const count = Math.min(BLOCK, length - from) * d;
      keys.set(memory.f32(address + index * BLOCK * d * 4, count), from * d);
    }
    const queryMoments = Float64Array.from(memory.f32(record.moments + index * d * d * 4, d * d));
    const count = Math.floor(length / SAMPLE) * (heads / kvHeads) * d;
    const samples = memory.f32(record.samples + index * record.sampleBytes, count).slice();
    return { keys, queryMoments, samples, queries: (length * heads) / kvHeads };
  });
}
