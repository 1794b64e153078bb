// What both sides must know. The build writes src/kernels/generated.ts from this folder and the signatures of the kernels.
export * from "./lookup";
export * from "./product";
export * from "./gated";
export * from "./repack";
export * from "./attention";
export * from "./rope";
export * from "./dry";
