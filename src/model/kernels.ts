/** The element-wise, norm and thread-barrier kernels of `assembly/ops`, as seen from TypeScript. */
export interface OpsKernels {
  /** out[i] = e^x[i]; f32, `count` a multiple of 4. */
  exp_f32(out: number, x: number, count: number): void;
  /** out[i] = max(gate[i], 0)² · up[i]; f32, `count` a multiple of 4. */
  relu2_gate(out: number, gate: number, up: number, count: number): void;
  /** out[i] = gate[i] · sigmoid(gate[i]) · up[i]; f32, `count` a multiple of 4. */
  silu_gate(out: number, gate: number, up: number, count: number): void;
  /** One row: out = x / √(mean(x²) + eps) · weight; f32, `size` a multiple of 4. */
  rms_norm(out: number, x: number, weight: number, size: number, eps: number): void;
  /** Waits for `count` threads at the 256 bytes of `address`; 1 when another thread has failed. */
  barrier(address: number, count: number, spins: number): number;
  /** The integer dots of this build on 16 + 16 bytes, for the start-up test. */
  dot_probe(out: number, a: number, b: number, rounds: number): void;
}
