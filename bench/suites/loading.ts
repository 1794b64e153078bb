import type { TensorType } from "#src/formats/model-file.js";
import { instantiateKernels, kernelModule } from "#src/kernels/instantiate.js";
import { loadWeight } from "#src/matmul/load-weight.js";
import { planWeight, type WeightTarget } from "#src/matmul/plan.js";
import { storedTypes } from "#src/matmul/stored-types.js";
import { Memory } from "#src/memory/memory.js";
import type { Group, Suite } from "../harness/suite.js";

const types: [type: TensorType, target?: WeightTarget | "absmean"][] = [
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
const STAGING = 8 << 20;

/** Reading a matrix of a file that lies in memory: copying and repacking. */
export const loading: Suite = {
  name: "load",
  title: "Loading a matrix: copying and repacking, one thread, bytes of the file",
  unit: "byte",
  groups: ({ size, families }) =>
    types
      .filter((_, i) => size !== "quick" || i % 2 === 0)
      .map(([type, target]): Group => {
        const [rows, columns] = size === "smoke" ? [64, 256] : [6912, 2560];
        const name = `${type}${target ? ` to ${target}` : ""}`;
        return {
          name,
          prepare() {
            const shape = storedTypes[type].block ?? { values: 4, bytes: 1 };
            const length = (rows * columns * shape.bytes) / shape.values + (type === "I2_S" ? 32 : 0);
            // Valid ternary codes, and floats of ordinary size.
            const ternary = type.startsWith("T") || type === "I2_S" || type === "HF_BITNET_U8";
            const bytes = new Uint8Array(length).fill(ternary ? 0x15 : 0x35);
            const tensor = {
              name,
              type,
              shape: [rows, columns],
              source: {
                name,
                size: length,
                read: async (offset: number, count: number) => bytes.subarray(offset, offset + count),
              },
              offset: 0,
              byteLength: length,
              quantise: target === "absmean" ? ("absmean" as const) : undefined,
            };
            const memory = new Memory({ shared: false });
            const plan = planWeight(tensor, target && target !== "absmean" ? { target } : {});
            const address = memory.alloc(plan.bytes, "weight");
            const staging = memory.alloc(STAGING, "staging");
            const cases = families.map((family) => {
              const kernels = instantiateKernels(kernelModule(family), memory.wasm);
              return {
                name: family,
                labels: { type: name, kernel: family },
                work: length,
                run: () => loadWeight(kernels, memory, tensor, address, plan, { staging, stagingBytes: STAGING }),
              };
            });
            return { cases };
          },
        };
      }),
};
