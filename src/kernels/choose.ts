import { KernelError, OptionError } from "../errors.js";
import { givenModule, instantiateKernels, kernelBytes, kernelModule } from "./instantiate.js";
import { newMemory } from "./new-memory.js";
import type { KernelBuild } from "./sources.js";

/** The two families of kernels; equal results, different instructions. */
export type KernelFamily = "simd" | "relaxed";

const answers = new Map<KernelBuild, boolean>();

/**
 * Picks the kernel build: `relaxed` where the engine accepts it and computes it rightly, else `simd`.
 * @throws KernelError when none works, or the one asked for does not
 */
export function chooseKernelBuild(shared: boolean, wanted?: KernelFamily): KernelBuild {
  if (wanted !== undefined && wanted !== "simd" && wanted !== "relaxed")
    throw new OptionError(`Unknown kernel ${JSON.stringify(wanted)}`, { key: "kernel" }, 'Use "simd" or "relaxed"');
  const suffix = shared ? "-shared" : "";
  for (const family of wanted ? [wanted] : (["relaxed", "simd"] as const)) {
    const build = `${family}${suffix}` as KernelBuild;
    if (works(build)) return build;
  }
  throw new KernelError(
    wanted ? `The ${wanted} kernels are not supported here` : "This engine has no WebAssembly SIMD",
    { key: "kernel" },
    wanted === "relaxed"
      ? 'Use "simd", or an engine with relaxed SIMD'
      : "Use Node 20, Deno 2, Bun 1.1, or a browser of 2023 or later",
  );
}

/** Whether the engine accepts a build and its dots give the known answers, in the first rounds and once optimised. */
function works(build: KernelBuild): boolean {
  let answer = answers.get(build);
  if (answer === undefined) {
    const module = givenModule(build) ?? validModule(build);
    answer = module !== undefined && knownAnswersHold(module, build.endsWith("shared"));
    answers.set(build, answer);
  }
  return answer;
}

/** A module whose one function is `i16x8.relaxed_dot_i8x16_i7x16_s` of two vectors: unpacking the kernels takes longer. */
const relaxedDot = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  ...[0x01, 0x07, 0x01, 0x60, 0x02, 0x7b, 0x7b, 0x01, 0x7b],
  ...[0x03, 0x02, 0x01, 0x00],
  ...[0x0a, 0x0b, 0x01, 0x09, 0x00, 0x20, 0x00, 0x20, 0x01, 0xfd, 0x92, 0x02, 0x0b],
);

function validModule(build: KernelBuild): WebAssembly.Module | undefined {
  if (build.startsWith("relaxed") && !WebAssembly.validate(relaxedDot)) return undefined;
  const bytes = kernelBytes(build);
  return WebAssembly.validate(bytes) ? kernelModule(build, bytes) : undefined;
}

function knownAnswersHold(module: WebAssembly.Module, shared: boolean): boolean {
  const memory = newMemory(1, shared);
  const kernels = instantiateKernels(module, memory);
  const a = new Int8Array(memory.buffer, 1024, 16);
  const b = new Uint8Array(memory.buffer, 1040, 16);
  const pairs = new Int16Array(memory.buffer, 1056, 8);
  const quadruples = new Int32Array(memory.buffer, 1072, 4);
  for (let i = 0; i < 16; i++) {
    a[i] = [-128, 127, -1, 0, 1, -127, 64, -64][(i * 3) % 8] as number;
    b[i] = [127, 0, 1, 126, 64, 63, 2, 3][(i * 5) % 8] as number;
  }
  for (const rounds of [1, 2000]) {
    kernels.dot_probe(1056, 1024, 1040, rounds);
    for (let pair = 0; pair < 8; pair++) {
      const expected = a[2 * pair]! * b[2 * pair]! + a[2 * pair + 1]! * b[2 * pair + 1]!;
      if (pairs[pair] !== expected) return false;
    }
    for (let lane = 0; lane < 4; lane++) {
      if (quadruples[lane] !== pairs[2 * lane]! + pairs[2 * lane + 1]! + rounds - 1) return false;
    }
  }
  return true;
}
