import { ownBytes } from "./descriptor.js";
import { PAGE, pageBytes, recordingBytes, SPAN } from "./layout.js";
import { looseBytes, merges } from "./merge.js";
import { PageTable } from "./pages.js";
import type { CacheParts } from "./parts.js";

/** The memory of one cache. */
export interface CacheMemory {
  readonly keys: PageTable;
  readonly values: PageTable;
  /** References, in delta caches. */
  readonly far: PageTable | undefined;
  /** Merged spans, in row grain. */
  readonly merged: PageTable | undefined;
  /** Address of record and counters. */
  readonly owned: number;
  /** Address of the recording for a calibration. */
  readonly recording: number | undefined;
}

/** Empty tables, and what stands beside them. @throws MemoryError with nothing kept */
export function allocateTables(parts: CacheParts): CacheMemory {
  const { pool, config, kind, contextLength, policy, windows } = parts;
  const pages = Math.ceil(contextLength / PAGE);
  const bytes = pageBytes(kind, config);
  const slots = config.layers * config.kvHeads;
  const { moments, samples } = recordingBytes(config, contextLength);
  const made: PageTable[] = [];
  const taken: number[] = [];
  const table = (size: number, capacity = pages) => {
    const result = new PageTable(pool, capacity, size);
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
      keys: table(policy.delta ? slots * config.headDim * PAGE : bytes),
      values: table(bytes),
      far: policy.delta ? table(slots * config.headDim * PAGE) : undefined,
      // A window may begin inside of a merged span.
      merged:
        merges(policy) && !windows
          ? table(looseBytes(slots, config.headDim), Math.ceil(contextLength / SPAN))
          : undefined,
      owned: take(ownBytes(parts)),
      recording: parts.record ? take(moments + samples) : undefined,
    };
  } catch (error) {
    for (const table of made) table.dispose();
    for (const address of taken) pool.release(address);
    throw error;
  }
}
