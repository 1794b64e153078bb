import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { TensorType } from "#src/formats/model-file.js";
import { chooseDots } from "#src/matmul/dots.js";
import { layouts } from "#src/matmul/layouts/index.js";
import type { WeightTarget } from "#src/matmul/plan.js";
import { runnableBuilds } from "../helpers/kernels.js";
import { bitsOf, Machine, random, randomRanges, randomTensor, rowsOf, within } from "../helpers/matmul.js";
import { quantisePerBlock, quantisePerToken } from "../twins/activations.js";
import { product } from "../twins/matmul.js";

/** File type, columns it needs to be a multiple of, and a conversion. */
const cases: [type: TensorType, unit: number, target?: WeightTarget | "absmean"][] = [
  ["BF16", 1, "absmean"],
  ["TQ2_0", 256],
  ["TQ1_0", 256],
  ["Q4_0", 32],
  ["Q4_1", 32],
  ["Q4_K", 256],
  ["Q8_0", 32],
  ["F16", 1, "q8"],
  ["F32", 1, "q4"],
  ["BF16", 1, "q6"],
  ["Q8_0", 32, "q4"],
  ["Q3_K", 256],
  ["Q5_1", 32],
  ["Q6_K", 256],
  ["F16", 1],
  ["BF16", 1],
  ["F32", 1],
];

for (const build of runnableBuilds)
  for (const [type, unit, target] of cases)
    test(`${type}${target ? ` as ${target}` : ""} (${build}): every bit of a product equals the plain twin's`, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 1, max: 70 }),
          fc.integer({ min: 1, max: unit === 1 ? 150 : unit === 32 ? 6 : 5 }),
          fc.integer({ min: 1, max: 18 }),
          fc.integer({ min: 1, max: 3 }),
          fc.integer(),
          async (rows, units, tokens, threads, seed) => {
            const machine = new Machine(build);
            const columns = units * unit;
            const { tensor } = randomTensor(type, rows, columns, seed, { sameScales: type === "TQ2_0" });
            const weight = await machine.load(
              target === "absmean" ? { ...tensor, quantise: "absmean" } : tensor,
              target && target !== "absmean" ? { target } : {},
            );
            const next = random(seed);
            const x = Float32Array.from({ length: tokens * columns }, () => next() * 20 - 10);
            const out = machine.multiply(weight, x, tokens, { threads });
            const kind = layouts[weight.layout].activations;
            for (let t = 0; t < tokens; t++) {
              const own = x.slice(t * columns, (t + 1) * columns);
              const record =
                kind === "f32"
                  ? new Uint8Array(own.buffer)
                  : kind === "int8-token"
                    ? quantisePerToken(own)
                    : quantisePerBlock(own);
              const expected = product(weight, new DataView(machine.memory.wasm.buffer), record);
              assert.equal(out.subarray(t * rows, (t + 1) * rows), expected);
              const ranges = randomRanges(rows, layouts[weight.layout].rowUnit, next);
              const some = machine.multiply(weight, own, 1, { threads, ranges });
              assert.equal(bitsOf(some), within(expected, ranges));
            }
          },
        ),
        { numRuns: 12 },
      );
    });

for (const build of runnableBuilds)
  test(`(${build}) many tokens, wide rows and the largest activations and codes cause no overflow`, async () => {
    const machine = new Machine(build);
    for (const [type, columns] of [
      ["TQ2_0", 2304],
      ["Q4_0", 2112],
      ["Q8_0", 2112],
      ["Q6_K", 1280],
    ] as const) {
      const { tensor } = randomTensor(type, 40, columns, 1, { sameScales: true });
      const bytes = await tensor.source.read(0, tensor.byteLength);
      // All codes at their largest; scales stay.
      const [block, codesFrom, codesTo, value] = {
        TQ2_0: [66, 0, 64, 0xaa],
        Q4_0: [18, 2, 18, 0xff],
        Q8_0: [34, 2, 34, 0x80],
        Q6_K: [210, 0, 192, 0xff],
      }[type] as [number, number, number, number];
      for (let at = 0; at < bytes.length; at += block) bytes.fill(value, at + codesFrom, at + codesTo);
      const weight = await machine.load({
        ...tensor,
        source: { ...tensor.source, read: async (o, n) => bytes.slice(o, o + n) },
      });
      for (const sign of [1, -1]) {
        const x = new Float32Array(131 * columns).fill(sign * 3);
        const out = machine.multiply(weight, x, 131);
        const record = (layouts[weight.layout].activations === "int8-token" ? quantisePerToken : quantisePerBlock)(
          x.slice(0, columns),
        );
        const expected = product(weight, new DataView(machine.memory.wasm.buffer), record);
        for (const t of [0, 1, 2, 3, 127, 128, 130])
          assert.equal(out.subarray(t * 40, (t + 1) * 40), expected, `${type}, token ${t}`);
        assert.equal(machine.multiply(weight, x.subarray(0, columns), 1), expected, `${type}, one token`);
      }
    }
  });

for (const build of runnableBuilds)
  test(`(${build}) the 32-bit dot products give the same bits as the 16-bit ones`, async () => {
    const machine = new Machine(build);
    for (const [rows, columns] of [
      [21, 256],
      [40, 2304],
    ] as const) {
      const { tensor } = randomTensor("TQ2_0", rows, columns, columns, { sameScales: true });
      const weight = await machine.load(tensor);
      const next = random(columns);
      const x = Float32Array.from({ length: 7 * columns }, () => next() * 20 - 10);
      for (const tokens of [1, 2, 7]) {
        const some = x.subarray(0, tokens * columns);
        const [short, long] = [0, 1].map((dot) =>
          machine.multiply(weight, some, tokens, { dots: { gemv: dot as 0 | 1, gemm: dot as 0 | 1 } }),
        );
        assert.equal(short, long);
      }
    }
  });

test("addresses beyond 2 GiB give the same bits", async () => {
  const build = runnableBuilds[runnableBuilds.length - 1] ?? "simd";
  const low = new Machine(build);
  const high = new Machine(build);
  try {
    high.memory.alloc(2 ** 31 + 2 ** 20, "address space that is never touched");
  } catch {
    console.log("SKIPPED: no address space for a test beyond 2 GiB");
    return;
  }
  for (const [type, target] of [
    ["TQ2_0", undefined],
    ["Q4_1", undefined],
    ["Q8_0", undefined],
    ["Q6_K", undefined],
    ["F16", undefined],
    ["BF16", "q8"],
  ] as const) {
    const { tensor } = randomTensor(type, 40, 512, 5, { sameScales: true });
    const next = random(5);
    const x = Float32Array.from({ length: 5 * 512 }, () => next() - 0.5);
    const [there, here] = [
      await high.load(tensor, target ? { target } : {}),
      await low.load(tensor, target ? { target } : {}),
    ];
    assert.ok(there.address > 2 ** 31);
    assert.equal(rowsOf(high, there), rowsOf(low, here));
    for (const tokens of [1, 5])
      assert.equal(
        high.multiply(there, x.subarray(0, tokens * 512), tokens),
        low.multiply(here, x.subarray(0, tokens * 512), tokens),
        type,
      );
  }
});

test("the choice of the dot product is made once the kernels are warm, and computes nothing", () => {
  const machine = new Machine(runnableBuilds[runnableBuilds.length - 1] ?? "simd");
  const scratch = machine.memory.alloc(machine.kernels.matmul_scratch_bytes(64), "scratch");
  assert.equal(chooseDots(machine.thread(), scratch), { gemv: 0, gemm: 0 });
  const started = performance.now();
  for (let i = 0; i < 50; i++) chooseDots(machine.thread(), scratch);
  while (performance.now() - started < 210);
  const choice = chooseDots(machine.thread(), scratch);
  assert.is(chooseDots(machine.thread(), scratch), choice);
});

test.run();
