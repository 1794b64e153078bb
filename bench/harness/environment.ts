import { attentionScratchBytes } from "#src/attention/scratch.js";
import { chooseDots } from "#src/matmul/dots.js";
import { matmulScratchBytes } from "#src/matmul/matmul.js";
import { chooseKernelBuild, type KernelFamily } from "#src/runtime/choose.js";
import { instantiateKernels, kernelModule } from "#src/runtime/instantiate.js";
import { Memory } from "#src/runtime/memory.js";
import { availableCores, noThreadsReason } from "#src/runtime/platform.js";
import type { Run } from "./suite.js";

/** The kernel families this engine computes rightly. */
export function families(): KernelFamily[] {
  return (["simd", "relaxed"] as const).filter((family) => {
    try {
      chooseKernelBuild(false, family);
      return true;
    } catch {
      return false;
    }
  });
}

/** Threads that can be had here. */
export async function mostThreads(): Promise<number> {
  return noThreadsReason() ? 1 : availableCores();
}

/** What `loadModel` would pick: the family, and the ternary dots by a race, for which the kernels must be warm. */
export function pickedKernel(): Run["kernel"] {
  const build = chooseKernelBuild(false);
  const memory = new Memory({ shared: false });
  const kernels = instantiateKernels(kernelModule(build), memory.wasm);
  const scratch = memory.alloc(matmulScratchBytes(2560) + attentionScratchBytes({ heads: 4, headDim: 64 }, 64, 1), "");
  const start = performance.now();
  let dots = chooseDots(kernels, scratch);
  while (performance.now() - start < 300) {
    kernels.gemv_ternary(scratch + 65536, scratch, scratch + 32768, 512, 0, 32, 1, 0, 0);
    dots = chooseDots(kernels, scratch);
  }
  return { family: build, dots } as Run["kernel"];
}
