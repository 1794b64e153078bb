import { MemoryError } from "../errors.js";
import { MOST_WASM_PAGES as MAX_PAGES, newMemory, WASM_PAGE as PAGE } from "../kernels/new-memory.js";
import { Allocator } from "./allocator.js";

/**
 * Most bytes a memory grows beyond what is needed: growing takes milliseconds where memory is not shared (7 ms at 2 GiB on
 * Node 20), and untouched pages cost nothing.
 */
const MOST_SPARE = 32 * 2 ** 20;
/** The first bytes are kept free, so that no block has address 0. */
const RESERVED = 1024;

/**
 * The one linear memory of a model: weights, scratch, KV caches. Grows when a block does not fit.
 * Views are made afresh at every call: growth detaches old ones.
 */
export class Memory {
  readonly wasm: WebAssembly.Memory;
  readonly shared: boolean;
  readonly #allocator = new Allocator(RESERVED);

  /** @throws MemoryError when the engine refuses even an empty memory. */
  constructor(options: { shared: boolean; initialBytes?: number }) {
    this.shared = options.shared;
    this.wasm = newMemory(Math.ceil((options.initialBytes ?? PAGE) / PAGE), options.shared);
  }

  /** Bytes in use by blocks of this memory. */
  get usedBytes(): number {
    return this.#allocator.usedBytes;
  }

  /** Bytes of the linear memory itself; WebAssembly memories never shrink. */
  get totalBytes(): number {
    return this.wasm.buffer.byteLength;
  }

  /**
   * Reserves a block at a multiple of 64 bytes; its content is undefined.
   * @param what named in the error message
   * @throws MemoryError beyond 4 GiB or when the engine has no more memory
   */
  alloc(bytes: number, what: string): number {
    const start = this.#allocator.alloc(bytes);
    const missing = this.#allocator.end - this.totalBytes;
    if (missing > 0) {
      const spare = Math.min(this.totalBytes / 16, MOST_SPARE, MAX_PAGES * PAGE - this.totalBytes - missing);
      try {
        if (!this.#grow(missing + Math.max(0, spare))) this.wasm.grow(Math.ceil(missing / PAGE));
      } catch (cause) {
        this.#allocator.free(start);
        throw new MemoryError(
          `No memory for ${what}: ${mebibytes(bytes)} MiB more, ${mebibytes(this.usedBytes)} MiB are in use, 4096 is the limit of WebAssembly`,
          {},
          "Use a smaller model, a shorter context or an int8 KV cache",
          { cause },
        );
      }
    }
    return start;
  }

  /** False when the engine refuses. */
  #grow(bytes: number): boolean {
    try {
      this.wasm.grow(Math.ceil(bytes / PAGE));
      return true;
    } catch {
      return false;
    }
  }

  free(address: number): void {
    this.#allocator.free(address);
  }

  u8(address: number, length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.wasm.buffer as ArrayBuffer, address, length);
  }
  i32(address: number, length: number): Int32Array<ArrayBuffer> {
    return new Int32Array(this.wasm.buffer as ArrayBuffer, address, length);
  }
  u32(address: number, length: number): Uint32Array<ArrayBuffer> {
    return new Uint32Array(this.wasm.buffer as ArrayBuffer, address, length);
  }
  f64(address: number, length: number): Float64Array<ArrayBuffer> {
    return new Float64Array(this.wasm.buffer as ArrayBuffer, address, length);
  }

  f32(address: number, length: number): Float32Array<ArrayBuffer> {
    return new Float32Array(this.wasm.buffer as ArrayBuffer, address, length);
  }
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}
