/** The matrix-product, repacking and activation-quantisation kernels of `assembly/`, as seen from TypeScript. */
export interface MatmulKernels {
  quantise_per_token(out: number, x: number, tokens: number, columns: number): void;
  quantise_per_block(out: number, x: number, tokens: number, columns: number): void;
}
