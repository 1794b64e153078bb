/** The sampling kernels of `assembly/`, as seen from TypeScript. */
export type SamplingKernels = {};
