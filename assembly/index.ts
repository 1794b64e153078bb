// The kernel table: every export is one kernel. Kernels own no data and allocate nothing; TypeScript plans the memory.
export * from "./matmul/index";
export * from "./attention/index";
export * from "./ops/index";
export * from "./sampling/index";
export * from "./calibration/index";
