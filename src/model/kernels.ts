/** The element-wise, norm and thread-barrier kernels of `assembly/`, as seen from TypeScript. */
export interface OpsKernels {
  /** out[i] = e^x[i]; f32, `count` a multiple of 4. */
  exp_f32(out: number, x: number, count: number): void;
}
