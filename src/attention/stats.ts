import type { BlockCache } from "./block-cache.js";
import { type AttentionStats, COUNTED_THREADS, type HeadStats, keyCounters, productCounters } from "./counters.js";
import { BLOCK, partBytes, SPAN } from "./layout.js";
import { mergedRuns, spansMergedAt } from "./merge.js";

const GRAINS = ["element", "chunk", "row"] as const;

/** Adds up the counters of a cache. */
export function attentionStats(cache: BlockCache): AttentionStats {
  const { config, policy, pool, contextLength } = cache.parts;
  const { layers, kvHeads, headDim } = config;
  const count = layers * kvHeads;
  const { counters } = cache.descriptor;
  const read = (offset: number, words: number) => {
    const low = pool.memory.u32(counters + offset, words * 2);
    return Array.from({ length: words }, (_, i) => (low[2 * i] as number) + (low[2 * i + 1] as number) * 2 ** 32);
  };
  const heads: HeadStats[] = [];
  const total = { dropped: 0, seen: 0, values: 0, allValues: 0, keys: 0, allKeys: 0, decodeValues: 0, decodeAll: 0 };
  for (let index = 0; index < count; index++)
    for (const stage of [0, 1] as const) {
      const [dropped = 0, seen = 0] = read(keyCounters(count, stage, index), 2);
      let [values, allValues] = [0, 0];
      for (let thread = 0; thread < COUNTED_THREADS; thread++) {
        const [a = 0, b = 0, c = 0, d = 0] = read(productCounters(count, stage, index, thread), 4);
        values += a;
        allValues += b;
        total.keys += c;
        total.allKeys += d;
      }
      total.dropped += dropped;
      total.seen += seen;
      total.values += values;
      total.allValues += allValues;
      if (stage) {
        total.decodeValues += values;
        total.decodeAll += allValues;
      }
      heads.push({
        layer: Math.floor(index / kvHeads),
        kvHead: index % kvHeads,
        stage: stage ? "decode" : "prefill",
        deltaSparsity: seen ? dropped / seen : 0,
        skippedValues: allValues ? 1 - values / allValues : 0,
      });
    }
  const { length } = cache;
  const deltaSparsity = total.seen ? total.dropped / total.seen : 0;
  const position = Math.min(length, contextLength - 1);
  const far = length ? Math.max(0, policy.windowStart(position)) / Math.max(1, position) : 0;
  const perToken = count * (headDim + 4);
  const full = 2 * length * perToken;
  const valuesRead = total.decodeAll
    ? total.decodeValues / total.decodeAll
    : total.allValues
      ? total.values / total.allValues
      : 1;
  return {
    kind: policy.delta ? "delta" : "full",
    grain: GRAINS[policy.grain],
    basis: policy.basis,
    deltaSparsity,
    attentionSparsity: policy.delta ? deltaSparsity * far : 0,
    skippedMacs: total.allKeys ? Math.max(0, 1 - (total.keys + total.values) / (total.allKeys + total.allValues)) : 0,
    bytesRead: full ? (keyBytesRead(cache) + valuesRead * length * perToken) / full : 1,
    kvBytes: cache.keyBytes + cache.valueBytes,
    kvBytesFull: 2 * Math.ceil(length / BLOCK) * count * partBytes("int8", headDim),
    heads,
  };
}

/** Bytes of keys the next query reads: runs with their counts, far blocks folded or not, whole keys where its window is. */
function keyBytesRead(cache: BlockCache): number {
  const { config, policy, contextLength } = cache.parts;
  const perKey = config.layers * config.kvHeads * config.headDim;
  const { length } = cache;
  if (!cache.far) return length * (perKey + (policy.grid ? 0 : config.layers * config.kvHeads * 4));
  const window = policy.windowStart(Math.min(length, contextLength - 1));
  const spans = cache.merged ? spansMergedAt(policy, length) : 0;
  let bytes = mergedRuns(cache, spans) * (config.headDim + 4);
  for (let block = (spans * SPAN) / BLOCK; block * BLOCK < length; block++) {
    const keys = Math.min(BLOCK, length - block * BLOCK);
    const start = block * BLOCK;
    if (start < window) bytes += cache.far.block(block)?.tag ? (cache.far.block(block)?.bytes ?? 0) : keys * perKey;
    if (start + keys > window) bytes += keys * perKey;
  }
  return bytes;
}
