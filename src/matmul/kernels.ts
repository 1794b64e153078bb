/** The matrix-product, repacking and activation-quantisation kernels of `assembly/`, as seen from TypeScript. */
export type MatmulKernels = {};
