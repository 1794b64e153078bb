import { BlockTable } from "./blocks.js";
import type { CacheParts } from "./cache-parts.js";
import { parameterBytes } from "./descriptor.js";
import { BLOCK, blockBytes, recordingBytes, SPAN } from "./layout.js";
import { looseBytes, merges } from "./merge.js";

/** The memory of one cache. */
export interface CacheMemory {
  readonly keys: BlockTable;
  readonly values: BlockTable;
  /** References, in delta caches. */
  readonly far: BlockTable | undefined;
  /** Merged spans, in row grain. */
  readonly merged: BlockTable | undefined;
  /** Address of parameters and counters. */
  readonly owned: number;
  /** Address of the recording for a calibration. */
  readonly record: number | undefined;
}

/** Empty tables, and what stands beside them. @throws MemoryError with nothing kept */
export function allocateTables(parts: CacheParts): CacheMemory {
  const { pool, config, kind, contextLength, policy } = parts;
  const blocks = Math.ceil(contextLength / BLOCK);
  const bytes = blockBytes(kind, config);
  const heads = config.layers * config.kvHeads;
  const { moments, samples } = recordingBytes(config, contextLength);
  const made: BlockTable[] = [];
  const taken: number[] = [];
  const table = (size: number, capacity = blocks) => {
    const result = new BlockTable(pool, capacity, size);
    made.push(result);
    return result;
  };
  const take = (size: number) => {
    const address = pool.take(size);
    taken.push(address);
    return address;
  };
  try {
    return {
      // Keys on a grid need no scales.
      keys: table(policy.delta ? heads * config.headDim * BLOCK : bytes),
      values: table(bytes),
      far: policy.delta ? table(heads * config.headDim * BLOCK) : undefined,
      merged: merges(policy) ? table(looseBytes(heads, config.headDim), Math.ceil(contextLength / SPAN)) : undefined,
      owned: take(parameterBytes(parts)),
      record: parts.record ? take(moments + samples) : undefined,
    };
  } catch (error) {
    for (const table of made) table.dispose();
    for (const address of taken) pool.release(address);
    throw error;
  }
}
