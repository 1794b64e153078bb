import { createRandom } from "#src/eval/statistics/random.js";
import type { KernelFamily } from "#src/kernels/choose.js";
import { Gated } from "#src/kernels/generated.js";
import { instantiateKernels, kernelModule } from "#src/kernels/instantiate.js";
import { activationBytes, activationStride, quantiseActivations } from "#src/matmul/activations.js";
import { listColumns } from "#src/matmul/active-columns.js";
import { layouts } from "#src/matmul/layouts/index.js";
import { toLines } from "#src/matmul/lines.js";
import { matmul } from "#src/matmul/matmul.js";
import type { Weight } from "#src/matmul/weight.js";
import { Memory } from "#src/memory/memory.js";
import { makeThread, RECORD_BYTES } from "#src/threads/thread.js";
import type { Case, Environment, Group, Suite } from "../harness/suite.js";

/** Shares of gates, or of inputs of `down`, that are not zero. */
const densities: Record<Environment["size"], readonly number[]> = {
  smoke: [0.2],
  quick: [0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1],
  full: [0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1],
};
/** Together the copies of a matrix exceed any cache: weights come from memory, as in a model. */
const STREAMED = 64e6;
/** One token's gates or inputs differ from call to call, or the few lines that they want would stay in the caches. */
const VARIANTS = 24;

interface Setting {
  matrix: "up" | "down";
  tokens: number;
  family: KernelFamily;
}

/** One matrix of BitNet-2B's feed-forward network many times over, in the layout for dense and in that for sparse inputs. */
function rig({ matrix, tokens, family }: Setting, size: Environment["size"]) {
  const [wide, narrow] = size === "smoke" ? [128, 64] : [6912, 2560];
  const [rows, columns] = matrix === "up" ? [wide, narrow] : [narrow, wide];
  const memory = new Memory({ shared: false });
  const kernels = instantiateKernels(kernelModule(family), memory.wasm);
  const thread = makeThread(kernels, memory.wasm, memory.alloc(RECORD_BYTES, "records"));
  const next = createRandom(99);
  const bytes = Math.ceil(rows / 8) * layouts.ternary.groupBytes(columns);
  const room = bytes + 4096;
  const temp = memory.alloc(room, "temp");
  const copies = size === "smoke" ? 1 : Math.ceil(STREAMED / bytes);
  const layout = family === "simd" && tokens === 1 ? "ternary-lut" : "ternary";
  const weights = (lines: "rows" | "columns" | undefined) =>
    Array.from({ length: copies }, (): Weight => {
      const weight: Weight = { layout, rows, columns, address: memory.alloc(bytes, "weight"), bytes, scale: 1 };
      const codes = memory.u8(weight.address, bytes);
      for (let i = 0; i < bytes; i++) for (let k = 0; k < 8; k += 2) codes[i]! |= Math.floor(next() * 3) << k;
      // Any codes are as good in one layout as in the other.
      if (lines) toLines(kernels, Object.assign(weight, { layout: "ternary" }), lines, temp, room);
      return weight;
    });
  const input = memory.alloc(tokens * columns * 4, "input");
  /** Records of tokens of which a share of the numbers is not zero. */
  const inputs = (density: number) => {
    const x = memory.f32(input, tokens * columns);
    for (let i = 0; i < x.length; i++) x[i] = next() < density ? (next() < 0.5 ? -1 : 1) * (0.1 + next()) : 0;
    const records = memory.alloc(activationBytes("int8-token", tokens, columns), "activations");
    quantiseActivations(thread, "int8-token", records, input, columns, [0, tokens]);
    return records;
  };
  const scratch = memory.alloc(kernels.strip_scratch_bytes(Math.max(rows, columns)), "scratch");
  return { memory, thread, rows, columns, weights, inputs, scratch, next };
}

/** The dense product first, then the sparse one at each density. */
function prepare(setting: Setting, size: Environment["size"]): Case[] {
  const { matrix, tokens, family } = setting;
  const { memory, thread, rows, columns, weights, inputs, scratch, next } = rig(setting, size);
  const dense = weights(undefined);
  const sparse = weights(matrix === "up" ? "rows" : "columns");
  const out = memory.alloc(tokens * rows * 4, "out");
  const variants = tokens > 1 || size === "smoke" ? 1 : VARIANTS;
  let call = 0;
  const make = (name: string, density: number, run: () => void): Case => ({
    name,
    labels: { matrix, tokens, kernel: family, density, product: name.startsWith("dense") ? "dense" : "sparse" },
    work: rows * columns * tokens,
    run,
  });
  if (matrix === "up") {
    const activations = inputs(1);
    // Every product becomes +∞, and so does an open gate, which was that before: each call finds what the first one found.
    const endless = inputs(1);
    for (let t = 0; t < tokens; t++) memory.i32(endless + t * activationStride("int8-token", columns) + 4, 1)[0] = -1e9;
    const scale = Number.POSITIVE_INFINITY;
    const counters = memory.alloc(64, "counters");
    const gatesOf = (density: number) => {
      const at = memory.alloc(tokens * rows * 4 + 64, "gate");
      memory.f32(at, tokens * rows).forEach((_, i, gates) => {
        gates[i] = next() < density ? Number.POSITIVE_INFINITY : -1;
      });
      return at;
    };
    const open = gatesOf(1);
    return [
      make("dense", 1, () => {
        matmul(thread, out, dense[call++ % dense.length] as Weight, activations, tokens, { scratch });
        thread.kernels.relu2_gate(out, open, out, tokens * rows);
      }),
      ...densities[size].map((density) => {
        const gates = Array.from({ length: variants }, () => gatesOf(density));
        return make(`${Math.round(density * 100)} % open gates`, density, () => {
          const { address } = sparse[call % sparse.length] as Weight;
          const gate = gates[Math.floor(call++ / sparse.length) % variants] as number;
          const job = { gate, weights: address, activations: endless, scratch, counters, tokens, rows, columns, scale };
          Gated.write(thread.view(), thread.records, job);
          thread.kernels.gated_ternary(thread.records, 0, rows);
        });
      }),
    ];
  }
  const lists = {
    offsets: memory.alloc(tokens * columns * 4, "offsets"),
    values: memory.alloc(tokens * columns * 4, "values"),
  };
  const all = inputs(1);
  const product = (list: readonly Weight[], activations: number) => () =>
    matmul(thread, out, list[call++ % list.length] as Weight, activations, tokens, { scratch });
  return [
    make("dense", 1, product(dense, all)),
    // What many tokens with few zeros take once a layer has gone over to columns.
    ...(tokens > 1 ? [make("dense, by columns", 1, product(sparse, all))] : []),
    ...densities[size].map((density) => {
      const activations = Array.from({ length: variants }, () => inputs(density));
      return make(`${Math.round(density * 100)} % inputs not zero`, density, () => {
        const weight = sparse[call % sparse.length] as Weight;
        const records = activations[Math.floor(call++ / sparse.length) % variants] as number;
        listColumns(thread, weight, records, lists, [0, tokens]);
        matmul(thread, out, weight, records, tokens, { scratch, active: lists });
      });
    }),
  ];
}

export const zeros: Suite = {
  name: "zeros",
  title: "Zeros left out of BitNet-2B's up and down, one thread, weights from memory; rates as if all were computed",
  unit: "MAC",
  groups: ({ size, families }) =>
    (["up", "down"] as const).flatMap((matrix) =>
      [1, size === "smoke" ? 9 : 128].flatMap((tokens) =>
        families.map(
          (family): Group => ({
            name: `${matrix}, ${tokens === 1 ? "decode" : `prefill of ${tokens} tokens`}, ${family}`,
            prepare: () => ({ cases: prepare({ matrix, tokens, family }, size) }),
          }),
        ),
      ),
    ),
};
