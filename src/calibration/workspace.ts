import type { Kernels } from "../kernels/generated.js";
import { instantiateKernels, kernelModule } from "../kernels/instantiate.js";
import { Memory } from "../memory/memory.js";

/** Where calibration computes: the kernels, and a block of their memory that is given out piece by piece. */
export class Workspace {
  readonly kernels: Kernels;
  readonly #memory: Memory;
  readonly #start: number;
  readonly #end: number;
  #at: number;

  /**
   * @param bytes of the block
   * @param engine whose memory is used; a memory of its own when missing
   * @throws MemoryError
   */
  constructor(bytes: number, engine?: { memory: Memory; kernels: Kernels }) {
    this.#memory = engine?.memory ?? new Memory({ shared: false });
    this.#start = this.#memory.alloc(bytes, "calibration");
    this.#at = this.#start;
    this.#end = this.#start + bytes;
    // After the block: a memory that grows detaches what its kernels know.
    this.kernels = engine?.kernels ?? instantiateKernels(kernelModule("simd"), this.#memory.wasm);
  }

  /** Numbers of f64, not cleared. Like all that is given out, valid until `within` ends, and found by kernels at `byteOffset`. */
  numbers(count: number): Float64Array {
    return new Float64Array(this.#memory.wasm.buffer, this.#take(count * 8), count);
  }

  /** A copy of numbers, as f64. */
  copy(numbers: ArrayLike<number>): Float64Array {
    const out = this.numbers(numbers.length);
    out.set(numbers);
    return out;
  }

  singles(numbers: Float32Array): Float32Array {
    const out = new Float32Array(this.#memory.wasm.buffer, this.#take(numbers.byteLength), numbers.length);
    out.set(numbers);
    return out;
  }

  bytes(count: number): Int8Array {
    return new Int8Array(this.#memory.wasm.buffer, this.#take(count), count);
  }

  /** Frees what `work` takes when it is done. */
  within<T>(work: () => T): T {
    const before = this.#at;
    try {
      return work();
    } finally {
      this.#at = before;
    }
  }

  /** The whole block is free again. */
  dispose(): void {
    this.#memory.free(this.#start);
  }

  #take(bytes: number): number {
    const at = this.#at;
    this.#at += Math.ceil(bytes / 64) * 64;
    if (this.#at > this.#end) throw new Error("the workspace of the calibration is too small");
    return at;
  }
}
