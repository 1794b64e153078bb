import { MemoryError } from "../errors.js";

/** Bytes of a page of WebAssembly. */
export const WASM_PAGE = 65_536;
/** Pages of the largest memory, 4 GiB. */
export const MOST_WASM_PAGES = 65_536;

/** A memory that can grow to 4 GiB. @throws MemoryError when the engine refuses it */
export function newMemory(initial: number, shared: boolean): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial, maximum: MOST_WASM_PAGES, shared });
  } catch (cause) {
    throw new MemoryError(
      "The engine refused a WebAssembly memory",
      {},
      "Free memory or close other models; a limit of address space (`ulimit -v`) must leave 4 GiB and more for each",
      { cause },
    );
  }
}
