import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Gated } from "#src/kernels/generated.js";
import { activationBytes, activationStride, quantiseActivations } from "#src/matmul/activations.js";
import { activeColumns, listColumns } from "#src/matmul/active-columns.js";
import { canBeLines, toLines } from "#src/matmul/lines.js";
import { loadWeight } from "#src/matmul/load-weight.js";
import { matmul } from "#src/matmul/matmul.js";
import { planWeight } from "#src/matmul/plan.js";
import { share } from "#src/threads/thread.js";
import { runnableBuilds } from "../helpers/kernels.js";
import { Machine, random, randomTensor, rowsOf } from "../helpers/matmul.js";
import { quantisePerToken } from "../twins/activations.js";
import { product } from "../twins/matmul.js";
import { relu2Gate } from "../twins/ops.js";

const ROOM = 1 << 20;
const densities = [0, 0.01, 0.1, 0.5, 0.9, 1];

async function lineWeight(machine: Machine, rows: number, columns: number, seed: number, lines: "rows" | "columns") {
  const { memory, kernels } = machine;
  const { tensor } = randomTensor("BF16", rows, columns, seed);
  const ternary = { ...tensor, quantise: "absmean" } as const;
  const plan = planWeight(ternary, { lines });
  const address = memory.alloc(plan.bytes, "weight");
  memory.u8(address, plan.bytes).fill(0xff);
  const staging = memory.alloc(ROOM, "staging");
  const lut = machine.build.startsWith("simd");
  return loadWeight(kernels, memory, ternary, address, plan, { staging, stagingBytes: ROOM, lut });
}

/** All but a share of `density` of the numbers become zero, whole tokens at times. */
function thinned(count: number, density: number, next: () => number): Float32Array {
  return Float32Array.from({ length: count }, () => (next() < density ? next() * 20 - 10 : 0));
}

for (const build of runnableBuilds)
  test(`(${build}) gated rows: at any density, every bit is that of the plain product and gate`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 330 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 3 }),
        fc.constantFrom(...densities),
        fc.integer(),
        async (quads, columns, tokens, threads, density, seed) => {
          const rows = quads * 4;
          const machine = new Machine(build);
          const { memory } = machine;
          const weight = await lineWeight(machine, rows, columns, seed, "rows");
          const next = random(seed);
          const x = thinned(tokens * columns, 0.9, next);
          const gates = Float32Array.from({ length: tokens * rows }, () => (next() < density ? 1 : -1) * next() * 3);
          if (gates.length > 5) gates[3] = 0;
          const expected: number[] = [];
          let active = 0;
          for (let t = 0; t < tokens; t++) {
            const up = product(
              weight,
              new DataView(memory.wasm.buffer),
              quantisePerToken(x.slice(t * columns, (t + 1) * columns)),
            );
            for (let r = 0; r < rows; r++) {
              const gate = gates[t * rows + r] as number;
              if (gate > 0) active++;
              expected.push(
                gate > 0 ? (relu2Gate(Float32Array.of(gate), Float32Array.of(up[r] as number))[0] as number) : 0,
              );
            }
          }
          assert.ok(canBeLines(weight, "rows", ROOM));
          const temp = memory.alloc(ROOM, "temp");
          const plain = rowsOf(machine, weight);
          toLines(machine.kernels, weight, "rows", temp, ROOM);
          assert.equal(rowsOf(machine, weight), plain, "the same matrix");
          const xAt = memory.alloc(x.byteLength, "x");
          memory.f32(xAt, x.length).set(x);
          const records = memory.alloc(activationBytes("int8-token", tokens, columns), "records");
          const gate = memory.alloc(gates.byteLength + 64, "gate");
          memory.f32(gate, gates.length + 16).fill(12345);
          memory.f32(gate, gates.length).set(gates);
          const counters = memory.alloc(64, "counters");
          memory.f64(counters, 8).fill(0);
          const scratch = memory.alloc(machine.kernels.strip_scratch_bytes(Math.max(rows, columns)), "scratch");
          quantiseActivations(machine.thread(), "int8-token", records, xAt, columns, [0, tokens]);
          for (let index = 0; index < threads; index++) {
            const thread = machine.thread(index, threads);
            const [start, end] = share(thread, rows, 8);
            if (start >= end) continue;
            const job = {
              gate,
              weights: weight.address,
              activations: records,
              scratch,
              counters,
              tokens,
              rows,
              columns,
            };
            Gated.write(thread.view(), thread.records, { ...job, scale: weight.scale });
            thread.kernels.gated_ternary(thread.records, start, end);
          }
          assert.equal([...memory.f32(gate, gates.length)], expected);
          assert.equal([...memory.f32(gate + gates.byteLength, 16)], new Array(16).fill(12345), "nothing beyond");
          const [counted, idle] = memory.f64(counters, 2);
          assert.is(counted, active);
          const needed = Array.from({ length: rows }, (_, r) => gates.some((gate, i) => i % rows === r && gate > 0));
          assert.is(idle, needed.filter((one) => !one).length);
          const dense = machine.multiply(weight, x, tokens, { threads });
          const other = await lineWeight(machine, rows, columns, seed, "rows");
          assert.equal(dense, machine.multiply(other, x, tokens), "the whole product");
        },
      ),
      { numRuns: 14 },
    );
  });

for (const build of runnableBuilds)
  test(`(${build}) active columns: at any density, every bit is that of the plain product`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 3 }),
        fc.constantFrom(...densities),
        fc.integer(),
        async (rows, quads, tokens, threads, density, seed) => {
          const columns = quads * 4;
          const machine = new Machine(build);
          const { memory } = machine;
          const weight = await lineWeight(machine, rows, columns, seed, "columns");
          const x = thinned(tokens * columns, density, random(seed));
          const own = (t: number) => quantisePerToken(x.slice(t * columns, (t + 1) * columns));
          const expected = Array.from({ length: tokens }, (_, t) => [
            ...product(weight, new DataView(memory.wasm.buffer), own(t)),
          ]).flat();
          const temp = memory.alloc(ROOM, "temp");
          const plain = rowsOf(machine, weight);
          toLines(machine.kernels, weight, "columns", temp, ROOM);
          assert.equal(rowsOf(machine, weight), plain, "the same matrix");
          const xAt = memory.alloc(x.byteLength, "x");
          memory.f32(xAt, x.length).set(x);
          const records = memory.alloc(activationBytes("int8-token", tokens, columns), "records");
          const lists = { offsets: memory.alloc(x.byteLength + 64, "o"), values: memory.alloc(x.byteLength + 64, "v") };
          const out = memory.alloc((tokens * rows + 16) * 4, "out");
          memory.f32(out, tokens * rows + 16).fill(12345);
          const scratch = memory.alloc(machine.kernels.strip_scratch_bytes(columns), "scratch");
          const single = machine.thread();
          quantiseActivations(single, "int8-token", records, xAt, columns, [0, tokens]);
          listColumns(single, weight, records, lists, [0, tokens]);
          let active = 0;
          for (let t = 0; t < tokens; t++) {
            const codes = memory.u8(records + t * activationStride("int8-token", columns) + 16, columns);
            active += codes.filter((code) => code !== 0).length;
          }
          assert.is(activeColumns(single, weight, records, tokens), active);
          assert.is(machine.kernels.count_codes(records, tokens, columns), active);
          for (let index = 0; index < threads; index++)
            matmul(machine.thread(index, threads), out, weight, records, tokens, { scratch, active: lists });
          assert.equal([...memory.f32(out, tokens * rows)], expected);
          assert.equal([...memory.f32(out + tokens * rows * 4, 16)], new Array(16).fill(12345), "nothing beyond");
          assert.equal([...machine.multiply(weight, x, tokens, { threads })], expected, "the whole product");
        },
      ),
      { numRuns: 14 },
    );
  });

test("large matrices, many tokens and the largest numbers cause no overflow; blocks of rows give the same bits", async () => {
  for (const build of runnableBuilds) {
    const machine = new Machine(build);
    const { memory } = machine;
    const [rows, columns, tokens] = [512, 2304, 3];
    const temp = memory.alloc(ROOM, "temp");
    for (const room of [ROOM, 200_000]) {
      const weight = await lineWeight(machine, rows, columns, 5, "columns");
      const x = new Float32Array(tokens * columns).fill(3);
      x.fill(-3, columns);
      const expected = machine.multiply(weight, x, tokens);
      toLines(machine.kernels, weight, "columns", temp, room);
      assert.is(weight.blockRows, room === ROOM ? 512 : 256);
      const records = memory.alloc(activationBytes("int8-token", tokens, columns), "records");
      const lists = { offsets: memory.alloc(x.byteLength, "o"), values: memory.alloc(x.byteLength, "v") };
      const xAt = memory.alloc(x.byteLength, "x");
      memory.f32(xAt, x.length).set(x);
      const out = memory.alloc(tokens * rows * 4, "out");
      const scratch = memory.alloc(machine.kernels.strip_scratch_bytes(columns), "scratch");
      quantiseActivations(machine.thread(), "int8-token", records, xAt, columns, [0, tokens]);
      listColumns(machine.thread(), weight, records, lists, [0, tokens]);
      matmul(machine.thread(), out, weight, records, tokens, { scratch, active: lists });
      assert.equal(memory.f32(out, tokens * rows).slice(), expected);
      assert.equal(machine.multiply(weight, x, tokens), expected);
    }
  }
});

test.run();
