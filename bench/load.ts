// Speed of loading (read from memory, copy, repack) by file type, in GB of the file per second.
//   node build/bench/load.js [word in the name …]
import type { TensorType } from "#src/formats/model-file.js";
import { blockShapes } from "#src/matmul/dequantise.js";
import { loadWeight, planWeight, type WeightTarget } from "#src/matmul/weight.js";
import { instantiateKernels, kernelBytes, kernelModule } from "#src/runtime/instantiate.js";
import { Memory } from "#src/runtime/memory.js";

const words = process.argv.slice(2);
const cases: [type: TensorType, target?: WeightTarget | "absmean"][] = [
  ["I2_S"],
  ["HF_BITNET_U8"],
  ["TQ2_0"],
  ["TQ1_0"],
  ["Q8_0"],
  ["Q4_0"],
  ["Q4_1"],
  ["Q4_K"],
  ["Q6_K"],
  ["Q5_K"],
  ["F16"],
  ["F16", "q8"],
  ["BF16", "q8"],
  ["BF16", "absmean"],
];
const build = WebAssembly.validate(kernelBytes("relaxed")) ? "relaxed" : "simd";
const [rows, columns] = [6912, 2560];
for (const [type, target] of cases) {
  const name = `${type}${target ? ` to ${target}` : ""}`;
  if (!words.every((word) => name.includes(word))) continue;
  const shape = blockShapes[type] ?? { values: 4, bytes: 1 };
  // Valid ternary codes, and floats of ordinary size.
  const bytes = new Uint8Array((rows * columns * shape.bytes) / shape.values + (type === "I2_S" ? 32 : 0)).fill(
    type.startsWith("T") || type === "I2_S" || type === "HF_BITNET_U8" ? 0x15 : 0x35,
  );
  const tensor = {
    name,
    type,
    shape: [rows, columns],
    source: {
      name,
      size: bytes.length,
      read: async (offset: number, length: number) => bytes.subarray(offset, offset + length),
    },
    offset: 0,
    byteLength: bytes.length,
    quantise: target === "absmean" ? ("absmean" as const) : undefined,
  };
  const memory = new Memory({ shared: false });
  const kernels = instantiateKernels(kernelModule(build), memory.wasm);
  const plan = planWeight(tensor, target && target !== "absmean" ? { target } : {});
  const address = memory.alloc(plan.bytes, "weight");
  const staging = memory.alloc(8 << 20, "staging");
  const times: number[] = [];
  for (let i = 0; i < 7; i++) {
    // Processor time: other programs on the machine do not count.
    const start = process.cpuUsage();
    await loadWeight(kernels, memory, tensor, address, plan, { staging, stagingBytes: 8 << 20 });
    const used = process.cpuUsage(start);
    times.push((used.user + used.system) / 1e3);
  }
  times.sort((a, b) => a - b);
  const ms = times[3] as number;
  console.log(
    `${build} ${name.padEnd(16)} ${(bytes.length / ms / 1e6).toFixed(2).padStart(6)} GB/s  ${((rows * columns) / ms / 1e6).toFixed(2).padStart(6)} G weights/s`,
  );
}
