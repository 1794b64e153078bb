import { attentionScratchBytes } from "#src/attention/scratch.js";
import { chooseKernelBuild, type KernelFamily } from "#src/kernels/choose.js";
import { instantiateKernels, kernelModule } from "#src/kernels/instantiate.js";
import { chooseDots } from "#src/matmul/dots.js";
import { matmul } from "#src/matmul/matmul.js";
import type { Weight } from "#src/matmul/weight.js";
import { Memory } from "#src/memory/memory.js";
import { availableCores, noThreadsReason } from "#src/platform/platform.js";
import { makeThread, RECORD_BYTES } from "#src/threads/thread.js";
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
  const scratch = memory.alloc(
    kernels.matmul_scratch_bytes(2560) + attentionScratchBytes({ heads: 4, headDim: 64 }, 64, 1),
    "",
  );
  const start = performance.now();
  const thread = makeThread(kernels, memory.wasm, memory.alloc(RECORD_BYTES, "records"));
  const weight: Weight = { layout: "ternary", rows: 32, columns: 512, address: scratch, bytes: 4096, scale: 1 };
  let dots = chooseDots(thread, scratch);
  while (performance.now() - start < 300) {
    matmul(thread, scratch + 65536, weight, scratch + 32768, 1, { scratch, dots });
    dots = chooseDots(thread, scratch);
  }
  return { family: build, dots } as Run["kernel"];
}
