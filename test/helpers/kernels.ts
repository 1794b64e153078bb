import type { Kernels } from "#src/kernels/generated.js";
import type { KernelBuild } from "#src/kernels/instantiate.js";
import { instantiateKernels, kernelBytes, kernelModule } from "#src/kernels/instantiate.js";

/** A kernel build on a memory of its own, with a bump allocator: enough to test single kernels. */
export class Bench {
  readonly memory: WebAssembly.Memory;
  readonly kernels: Kernels;
  #next = 1024;

  constructor(build: KernelBuild, pages = 256) {
    const shared = build.endsWith("shared");
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: 65536, shared });
    this.kernels = instantiateKernels(kernelModule(build), this.memory);
  }

  /** Reserves zeroed bytes at a multiple of 64; everything is given back by `reset`. */
  alloc(bytes: number): number {
    const start = this.#next;
    this.#next = (start + bytes + 63) & ~63;
    const missing = this.#next - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / 65536));
    new Uint8Array(this.memory.buffer, start, bytes).fill(0);
    return start;
  }

  put(values: Float32Array | Int32Array | Int16Array | Int8Array | Uint8Array | Uint16Array | Uint32Array): number {
    const start = this.alloc(values.byteLength);
    new Uint8Array(this.memory.buffer, start).set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    return start;
  }

  f32(start: number, length: number): Float32Array {
    return new Float32Array(this.memory.buffer, start, length);
  }
  i32(start: number, length: number): Int32Array {
    return new Int32Array(this.memory.buffer, start, length);
  }
  i8(start: number, length: number): Int8Array {
    return new Int8Array(this.memory.buffer, start, length);
  }
  u8(start: number, length: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, start, length);
  }

  reset(): void {
    this.#next = 1024;
  }
}

/** The builds this engine can run. Relaxed builds are left out where the engine does not accept relaxed SIMD. */
export const runnableBuilds: KernelBuild[] = (["simd", "relaxed"] as const).filter((build) =>
  WebAssembly.validate(kernelBytes(build)),
);
