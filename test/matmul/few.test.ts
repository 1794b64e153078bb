import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { TensorType } from "#src/formats/model-file.js";
import { layouts } from "#src/matmul/layouts/index.js";
import type { LayoutName } from "#src/matmul/layouts/layout.js";
import { toLines } from "#src/matmul/lines.js";
import type { WeightTarget } from "#src/matmul/plan.js";
import { runnableBuilds } from "../helpers/kernels.js";
import { Machine, random, randomTensor } from "../helpers/matmul.js";

/** How a matrix of each layout is made; `unit`: what its columns are a multiple of. */
const sources: Record<
  LayoutName,
  { type: TensorType; unit: number; target?: WeightTarget; lines?: "rows" | "columns" }
> = {
  ternary: { type: "BF16", unit: 1 },
  "ternary-lut": { type: "BF16", unit: 1 },
  "ternary-rows": { type: "BF16", unit: 1, lines: "rows" },
  "ternary-columns": { type: "BF16", unit: 1, lines: "columns" },
  q4: { type: "Q4_0", unit: 32 },
  q4min: { type: "Q4_1", unit: 32 },
  q4k: { type: "Q4_K", unit: 256 },
  q6: { type: "Q6_K", unit: 256 },
  q8: { type: "Q8_0", unit: 32 },
  codes: { type: "Q5_1", unit: 32 },
  f16: { type: "F16", unit: 1 },
  bf16: { type: "BF16", unit: 1 },
  f32: { type: "F32", unit: 1 },
};
const names = Object.keys(sources) as LayoutName[];

async function load(machine: Machine, layout: LayoutName, rows: number, units: number, seed: number) {
  const { type, unit, lines } = sources[layout];
  const { tensor } = randomTensor(type, rows, units * unit, seed, { sameScales: true });
  const master = layout.startsWith("ternary") ? { ...tensor, quantise: "absmean" as const } : tensor;
  const weight = await machine.load(master, { lut: layout === "ternary-lut" });
  if (lines) {
    const room = 1 << 20;
    // Lines may be longer than what they are made from.
    const bytes = machine.memory.alloc(room, "lines");
    machine.memory.u8(bytes, weight.bytes).set(machine.memory.u8(weight.address, weight.bytes));
    weight.address = bytes;
    toLines(machine.kernels, weight, lines, machine.memory.alloc(room, "room"), room);
  }
  assert.is(weight.layout, layout);
  return weight;
}

for (const build of runnableBuilds)
  for (const layout of names)
    test(`${layout} (${build}): among 2 to 17 tokens each gets the bits it gets alone`, async () => {
      const { unit } = sources[layout];
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 1, max: 330 }),
          fc.integer({ min: 1, max: unit === 1 ? 600 : unit === 32 ? 20 : 3 }),
          fc.integer({ min: 2, max: 17 }),
          fc.integer({ min: 1, max: 3 }),
          fc.constantFrom<0 | 1>(0, 1),
          fc.boolean(),
          fc.integer(),
          async (most, units, tokens, threads, dot, accumulate, seed) => {
            const machine = new Machine(build);
            const rows = layout === "ternary-lut" ? Math.ceil(most / 32) * 32 : most;
            const columns = units * unit;
            const weight = await load(machine, layout, rows, units, seed);
            const next = random(seed);
            const x = Float32Array.from({ length: tokens * columns }, () => next() * 20 - 10);
            const onto = Float32Array.from({ length: tokens * rows }, () => next() - 0.5);
            const how = { threads, dots: { gemv: dot, gemm: dot } };
            const out = machine.multiply(weight, x, tokens, accumulate ? { ...how, onto } : how);
            for (let t = 0; t < tokens; t++) {
              const own = x.slice(t * columns, (t + 1) * columns);
              const before = onto.slice(t * rows, (t + 1) * rows);
              const alone = machine.multiply(weight, own, 1, accumulate ? { ...how, onto: before } : how);
              assert.equal(out.subarray(t * rows, (t + 1) * rows), alone, `token ${t} of ${tokens}`);
            }
          },
        ),
        { numRuns: 8 },
      );
    });

for (const build of runnableBuilds)
  test(`(${build}) few tokens of the largest activations and codes cause no overflow`, async () => {
    const machine = new Machine(build);
    for (const [type, columns, largest] of [
      ["TQ2_0", 2304, [0, 64, 0xaa]],
      ["Q4_0", 2112, [2, 18, 0xff]],
      ["Q8_0", 2112, [2, 34, 0x80]],
      ["Q6_K", 1280, [0, 192, 0xff]],
    ] as const) {
      const { tensor } = randomTensor(type, 40, columns, 1, { sameScales: true });
      const bytes = await tensor.source.read(0, tensor.byteLength);
      const [from, to, value] = largest;
      const block = { TQ2_0: 66, Q4_0: 18, Q8_0: 34, Q6_K: 210 }[type];
      for (let at = 0; at < bytes.length; at += block) bytes.fill(value, at + from, at + to);
      const source = { ...tensor.source, read: async (o: number, n: number) => bytes.slice(o, o + n) };
      const weight = await machine.load({ ...tensor, source });
      for (const sign of [1, -1])
        for (const dot of [0, 1] as const) {
          const dots = { gemv: dot, gemm: dot };
          const x = new Float32Array(16 * columns).fill(sign * 3);
          const alone = machine.multiply(weight, x.subarray(0, columns), 1, { dots });
          for (let tokens = 2; tokens <= 16; tokens++) {
            const out = machine.multiply(weight, x.subarray(0, tokens * columns), tokens, { dots });
            for (let t = 0; t < tokens; t++)
              assert.equal(
                out.subarray(t * 40, (t + 1) * 40),
                alone,
                `${type}, ${layouts[weight.layout].few}, ${tokens}`,
              );
          }
        }
    }
  });

test.run();
