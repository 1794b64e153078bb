/** A build of the kernels. All give the same bits; `relaxed` needs relaxed SIMD, `-shared` needs shared memory. */
export type KernelBuild = "simd" | "relaxed" | "simd-shared" | "relaxed-shared";

/** `WebAssembly.Module`, where the types of a program know it: those of Node alone do not. */
type CompiledModule = typeof globalThis extends { WebAssembly: { Module: new (...parts: never[]) => infer Module } }
  ? Module
  : object;

/** Kernels from outside the package: compiled, or as bytes. */
export type KernelSources = {
  readonly [Build in KernelBuild]?: CompiledModule | ArrayBuffer | ArrayBufferView | undefined;
};
