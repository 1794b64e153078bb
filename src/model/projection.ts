import type { Kernels } from "../kernels/generated.js";
import { activationBytes, quantiseActivations } from "../matmul/activations.js";
import { layouts } from "../matmul/layouts/index.js";
import { matmul } from "../matmul/matmul.js";
import type { Weight } from "../matmul/weight.js";
import type { Memory } from "../memory/memory.js";
import { makeThread, RECORD_BYTES, type Thread } from "../threads/thread.js";

/** The matrices an embedding model has after pooling (sentence-transformers `Dense`), run by the calling thread alone. */
export class Projection {
  readonly #memory: Memory;
  readonly #thread: Thread;
  readonly #matrices: readonly Weight[];
  readonly #buffers: { x: number; out: number; activations: number; scratch: number };

  /** @throws MemoryError */
  constructor(kernels: Kernels, memory: Memory, matrices: readonly Weight[]) {
    this.#memory = memory;
    this.#matrices = matrices;
    this.#thread = makeThread(kernels, memory.wasm, memory.alloc(RECORD_BYTES, "records"));
    const widest = Math.max(...matrices.flatMap(({ rows, columns }) => [rows, columns]));
    const what = "the matrices after pooling";
    const quantised = Math.max(
      ...(["int8-token", "int8-block"] as const).map((kind) => activationBytes(kind, 1, widest)),
    );
    this.#buffers = {
      x: memory.alloc(widest * 4, what),
      out: memory.alloc((widest + 8) * 4, what),
      activations: memory.alloc(quantised, what),
      scratch: memory.alloc(kernels.matmul_scratch_bytes(widest), what),
    };
  }

  /** … · W2ᵀ · W1ᵀ of a vector. */
  run(vector: Float32Array): Float32Array {
    const { x, out, activations, scratch } = this.#buffers;
    let values = vector;
    for (const matrix of this.#matrices) {
      this.#memory.f32(x, matrix.columns).set(values);
      const { activations: kind } = layouts[matrix.layout];
      quantiseActivations(this.#thread, kind, activations, x, matrix.columns, [0, 1]);
      matmul(this.#thread, out, matrix, kind === "f32" ? x : activations, 1, { scratch });
      values = this.#memory.f32(out, matrix.rows).slice();
    }
    return values;
  }
}
