import type { KeyValueCache } from "../kv/cache.js";
import { SAMPLE } from "../kv/calibration.js";
import { PAGE } from "../kv/layout.js";
import { PageCache } from "../kv/page-cache.js";
import type { Memory } from "../memory/memory.js";
import type { RecordedHead } from "./recorded-head.js";

/**
 * What a cache made with `record: true` has seen since it was made, by layer · kvHeads + KV head.
 * The keys are those of the tokens it holds now.
 */
export function readRecording(cache: KeyValueCache, memory: Memory): RecordedHead[] {
  const { recording: record, layers, kvHeads, heads, headDim: d } = cache.descriptor;
  if (!(cache instanceof PageCache) || record === undefined) throw new Error("this cache does not record");
  const { length } = cache;
  return Array.from({ length: layers * kvHeads }, (_, index) => {
    const keys = new Float32Array(length * d);
    const values = new Float32Array(length * d);
    for (let from = 0; from < length; from += PAGE) {
      const address = cache.keys.page(from / PAGE)?.address ?? 0;
      const count = Math.min(PAGE, length - from) * d;
      keys.set(memory.f32(address + index * PAGE * d * 4, count), from * d);
      const valueAddress = cache.values.page(from / PAGE)?.address ?? 0;
      values.set(memory.f32(valueAddress + index * PAGE * d * 4, count), from * d);
    }
    const queryMoments = Float64Array.from(memory.f32(record.moments + index * d * d * 4, d * d));
    const count = Math.floor(length / SAMPLE) * (heads / kvHeads) * d;
    const samples = memory.f32(record.samples + index * record.sampleBytes, count).slice();
    return { keys, values, queryMoments, samples, queries: (length * heads) / kvHeads };
  });
}
