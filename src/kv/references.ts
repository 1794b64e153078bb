import { NewKeys } from "../kernels/generated.js";
import type { CacheContent } from "./cache.js";

/**
 * Makes the references of the keys `from` … `to` − 1, after those there are, and finds those of the last of `length` keys;
 * `to` is where the window of the last query begins. Whole keys from `from` on must be there. @throws MemoryError
 */
export function findReferences(cache: CacheContent, from: number, to: number, length: number): void {
  const { grid, delta, record, headDim } = cache.descriptor;
  const { pool, kernels } = cache.parts;
  if (!grid || !delta || length === 0) return;
  const address = pool.memory.alloc(NewKeys.bytes + 64 + 2 * headDim, "finding references");
  const view = new DataView(pool.memory.wasm.buffer);
  delta.squaredThresholds.forEach((limit, slot) => {
    const head = grid.address + slot * grid.stride;
    NewKeys.write(view, address, {
      cache: record,
      slot,
      position: 0,
      tokens: 0,
      keys: 0,
      stride: 0,
      map: head,
      matrix: grid.matrix,
      limits: head + grid.limits,
      squares: head + grid.squares,
      limit,
      counters: 0,
      work: address + NewKeys.bytes,
    });
    kernels.cache_store_references(address, from, to);
    kernels.cache_last_reference(address, length);
  });
  pool.memory.free(address);
}
