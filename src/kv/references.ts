import type { CacheContent } from "./cache.js";

/**
 * Makes the references of the keys `from` … `to` − 1, after those there are, and finds those of the last of `length` keys;
 * `to` is where the window of the last query begins. Whole keys from `from` on must be there. @throws MemoryError
 */
export function findReferences(cache: CacheContent, from: number, to: number, length: number): void {
  const { grid, delta, parameters, headDim } = cache.descriptor;
  const { pool, kernels } = cache.parts;
  if (!grid || !delta || length === 0) return;
  const work = pool.memory.alloc(2 * headDim, "finding references");
  delta.limits.forEach((limit, index) => {
    const head = grid.address + index * grid.stride;
    const [limits, squares] = [head + grid.limits, head + grid.squares];
    kernels.cache_store_references(parameters, index, from, to, limits, squares, limit, work);
    kernels.cache_last_reference(parameters, index, length, limits, squares, limit, work);
  });
  pool.memory.free(work);
}
