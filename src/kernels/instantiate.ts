import { KernelError } from "../errors.js";
import { binaries } from "./binaries.js";
import type { Kernels } from "./generated.js";
import type { KernelBuild, KernelSources } from "./sources.js";
import { unpackKernels } from "./unpack.js";

export type { KernelBuild } from "./sources.js";

const modules = new Map<KernelBuild, WebAssembly.Module>();
const given = new Map<KernelBuild, WebAssembly.Module>();

/**
 * Uses these kernels from now on, instead of those in the package.
 * @throws KernelError when they cannot be compiled
 */
export function provideKernels(sources: KernelSources): void {
  for (const [build, source] of Object.entries(sources) as [KernelBuild, WebAssembly.Module | BufferSource][]) {
    try {
      const module = source instanceof WebAssembly.Module ? source : new WebAssembly.Module(source);
      modules.set(build, module);
      given.set(build, module);
    } catch (cause) {
      throw new KernelError("These kernels cannot be compiled", { key: `kernels.${build}` }, undefined, { cause });
    }
  }
}

/** The kernels of a build, when they came from outside: threads have to be given them. */
export function givenModule(build: KernelBuild): WebAssembly.Module | undefined {
  return given.get(build);
}

/** The bytes of a build, from the package itself. */
export function kernelBytes(build: KernelBuild): Uint8Array<ArrayBuffer> {
  const family = build.replace("-shared", "") as "simd" | "relaxed";
  const bytes = unpackKernels(family);
  // The same code for both kinds of memory: atomic instructions may be used on memory that is not shared.
  if (!build.endsWith("-shared")) bytes[binaries[family].memoryFlags] = 1;
  return bytes;
}

/**
 * Compiles a build once per thread.
 * @param bytes those of `kernelBytes`, where they are at hand
 */
export function kernelModule(build: KernelBuild, bytes?: Uint8Array<ArrayBuffer>): WebAssembly.Module {
  let module = modules.get(build);
  if (!module) {
    module = new WebAssembly.Module(bytes ?? kernelBytes(build));
    modules.set(build, module);
  }
  return module;
}

/**
 * Binds a build to a memory.
 * @throws KernelError when the engine refuses the module.
 */
export function instantiateKernels(module: WebAssembly.Module, memory: WebAssembly.Memory): Kernels {
  try {
    return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Kernels;
  } catch (cause) {
    throw new KernelError("The WebAssembly kernels could not be started", {}, undefined, { cause });
  }
}
