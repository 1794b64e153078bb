import type { CacheContent } from "./cache.js";
import { type AttentionStats, counterBytes, type HeadStats, keyCounters, productCounters } from "./counters.js";
import { PAGE, partBytes, SPAN } from "./layout.js";
import { mergedRuns, spansMergedAt } from "./merge.js";

const GRAINS = ["element", "chunk", "row"] as const;

/** Adds up the counters of a cache. */
export function attentionStats(cache: CacheContent): AttentionStats {
  const { config, policy, pool, contextLength } = cache.parts;
  const { layers, kvHeads, headDim } = config;
  const slots = layers * kvHeads;
  const { counters, countedThreads: threads } = cache.descriptor;
  const words = pool.memory.u32(counters, counterBytes(slots, threads) / 4);
  const read = (offset: number, index: number) => {
    const at = offset / 4 + 2 * index;
    return (words[at] as number) + (words[at + 1] as number) * 2 ** 32;
  };
  const heads: HeadStats[] = [];
  const total = {
    dropped: 0,
    seen: 0,
    values: 0,
    allValues: 0,
    keys: 0,
    allKeys: 0,
    decodeValues: 0,
    decodeAll: 0,
    exponentials: 0,
    wanted: 0,
    offered: 0,
  };
  for (let index = 0; index < slots; index++)
    for (const stage of [0, 1] as const) {
      const own = keyCounters(slots, stage, index);
      const [dropped, seen] = [read(own, 0), read(own, 1)];
      let [values, allValues, completedGroups, groups] = [0, 0, 0, 0];
      for (let thread = 0; thread < threads; thread++) {
        const products = productCounters(slots, stage, index, thread);
        values += read(products, 0);
        allValues += read(products, 1);
        total.keys += read(products, 2) / (headDim / 4);
        total.allKeys += read(products, 3) / (headDim / 4);
        total.exponentials += read(products, 4);
        completedGroups += read(products, 5);
        groups += read(products, 6);
      }
      total.dropped += dropped;
      total.seen += seen;
      total.wanted += completedGroups;
      total.offered += groups;
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
        ...(policy.select && { selected: { completedGroups, groups } }),
      });
    }
  const { length } = cache;
  const deltaSparsity = total.seen ? total.dropped / total.seen : 0;
  const position = Math.min(length, contextLength - 1);
  const far = length ? Math.max(0, policy.windowStart(position)) / Math.max(1, position) : 0;
  const perToken = slots * (headDim + 4);
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
    selected: policy.select && {
      slope: policy.select.slope,
      completedGroups: total.wanted,
      groups: total.offered,
      completedShare: total.offered ? total.wanted / total.offered : 1,
      exponentials: total.exponentials,
    },
    ...(policy.valueCutoff && { valueCutoff: Number(policy.valueCutoff.toPrecision(6)) }),
    kvBytes: cache.keyBytes + cache.valueBytes,
    kvBytesFull: 2 * Math.ceil(length / PAGE) * slots * partBytes("int8", headDim),
    heads,
  };
}

/** Bytes of keys the next query reads: runs with their counts, far pages packed or not, whole keys where its window is. */
function keyBytesRead(cache: CacheContent): number {
  const { config, policy, contextLength } = cache.parts;
  const perKey = config.layers * config.kvHeads * config.headDim;
  const { length } = cache;
  if (!cache.far) return length * (perKey + (policy.grid ? 0 : config.layers * config.kvHeads * 4));
  const window = policy.windowStart(Math.min(length, contextLength - 1));
  const spans = cache.merged ? spansMergedAt(policy, length) : 0;
  let bytes = mergedRuns(cache, spans) * (config.headDim + 4);
  for (let page = (spans * SPAN) / PAGE; page * PAGE < length; page++) {
    const keys = Math.min(PAGE, length - page * PAGE);
    const start = page * PAGE;
    if (start < window) bytes += cache.far.page(page)?.tag ? (cache.far.page(page)?.bytes ?? 0) : keys * perKey;
    if (start + keys > window) bytes += keys * perKey;
  }
  return bytes;
}
