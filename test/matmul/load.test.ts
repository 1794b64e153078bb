import { test } from "uvu";
import * as assert from "uvu/assert";
import { FormatError } from "#src/errors.js";
import type { TensorType } from "#src/formats/model-file.js";
import { planWeight } from "#src/matmul/plan.js";
import { runnableBuilds } from "../helpers/kernels.js";
import { bytesSource, Machine, random, randomTensor, rowsOf } from "../helpers/matmul.js";
import { dequantise } from "../twins/dequantise.js";

const types: [TensorType, number[]][] = [
  ["F32", [64, 37]],
  ["F16", [64, 37]],
  ["BF16", [64, 37]],
  ["Q4_0", [32, 96]],
  ["Q4_1", [32, 576]],
  ["Q5_0", [32, 96]],
  ["Q5_1", [32, 96]],
  ["Q8_0", [32, 576]],
  ["Q2_K", [256, 512]],
  ["Q3_K", [256, 512]],
  ["Q4_K", [256, 512]],
  ["Q5_K", [256, 512]],
  ["Q6_K", [256, 512]],
  ["TQ1_0", [256, 512]],
  ["TQ2_0", [256, 512]],
];

for (const build of runnableBuilds)
  for (const [type, widths] of types)
    test(`${type} (${build}): a loaded matrix holds exactly the numbers of the file`, async () => {
      const machine = new Machine(build);
      for (const columns of widths)
        for (const rows of [1, 8, 19]) {
          const { tensor, values } = randomTensor(type, rows, columns, rows * columns);
          const weight = await machine.load(tensor, { stagingBytes: 8192 + columns * 8 });
          assert.equal(rowsOf(machine, weight), values, `${rows} × ${columns}`);
        }
    });

for (const build of runnableBuilds)
  for (const [type, widths] of types)
    test(`${type} (${build}): the product is near the one in f64, and no bit depends on tokens or threads`, async () => {
      const machine = new Machine(build);
      const columns = widths[1] as number;
      const rows = 43;
      const { tensor, values } = randomTensor(type, rows, columns, 7);
      const weight = await machine.load(tensor);
      const next = random(5);
      const x = Float32Array.from({ length: 9 * columns }, () => next() * 4 - 2);
      const all = machine.multiply(weight, x, 9);
      let error = 0;
      let norm = 0;
      for (let t = 0; t < 9; t++)
        for (let r = 0; r < rows; r++) {
          let exact = 0;
          for (let c = 0; c < columns; c++)
            exact += (values[r * columns + c] as number) * (x[t * columns + c] as number);
          error += (exact - (all[t * rows + r] as number)) ** 2;
          norm += exact ** 2;
        }
      const float = weight.layout === "f16" || weight.layout === "bf16" || weight.layout === "f32";
      const relative = Math.sqrt(error / norm);
      assert.ok(relative < (float ? 1e-6 : 0.02), `relative error ${relative}`);
      for (let tokens = 1; tokens < 9; tokens++)
        for (const threads of [1, 2, 3])
          assert.equal(
            machine.multiply(weight, x.subarray(0, tokens * columns), tokens, { threads }),
            all.subarray(0, tokens * rows),
            `${tokens} tokens, ${threads} threads`,
          );
      const onto = Float32Array.from({ length: 9 * rows }, () => next());
      const added = Float32Array.from(onto, (value, i) => value + (all[i] as number));
      assert.equal(machine.multiply(weight, x, 9, { onto }), added);
      assert.equal(
        machine.multiply(weight, x.subarray(0, columns), 1, { onto: onto.subarray(0, rows) }),
        added.subarray(0, rows),
      );
    });

for (const [type, columns] of [
  ["F32", 70],
  ["F16", 96],
  ["BF16", 64],
  ["Q8_0", 96],
  ["Q6_K", 256],
] as const)
  for (const [target, steps] of [
    ["q8", 127],
    ["q6", 31],
    ["q4", 7],
  ] as const)
    test(`${type} with target ${target}: every number is within half a step of the file's, or untouched`, async () => {
      const machine = new Machine(runnableBuilds[runnableBuilds.length - 1] ?? "simd");
      const rows = 21;
      const { tensor, values } = randomTensor(type, rows, columns, 3);
      const weight = await machine.load(tensor, { target });
      const kept = (type === "Q8_0" && target === "q8") || (type === "Q6_K" && target !== "q4");
      const ours = rowsOf(machine, weight);
      if (kept) return assert.equal(ours, values);
      assert.is(weight.layout, target);
      for (let row = 0; row < rows; row++)
        for (let start = 0; start < columns; start += 32) {
          const block = values.subarray(row * columns + start, row * columns + Math.min(start + 32, columns));
          const step = block.reduce((top, value) => Math.max(top, Math.abs(value)), 0) / steps;
          block.forEach((value, i) => {
            const difference = Math.abs(value - (ours[row * columns + start + i] as number));
            assert.ok(
              difference <= step * 0.51 + steps * step * 2 ** -11,
              `${row}, ${start + i}: ${difference}, step ${step}`,
            );
          });
        }
    });

test("the short way from 16-bit floats to 8 bits gives what the long way from f32 gives, tiny numbers too", async () => {
  const machine = new Machine(runnableBuilds[runnableBuilds.length - 1] ?? "simd");
  const next = random(11);
  for (const type of ["F16", "BF16"] as const)
    for (const shift of [0, 8, 14]) {
      const [rows, columns] = [9, 96];
      const { tensor } = randomTensor(type, rows, columns, 4);
      const bytes = await tensor.source.read(0, tensor.byteLength);
      const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, rows * columns);
      // Smaller and smaller exponents, down to subnormal numbers and zeros.
      halves.forEach((bits, i) => {
        const unit = type === "F16" ? 0x400 : 0x80;
        const exponent = Math.max(0, Math.floor((bits & 0x7fff) / unit) - shift * (type === "F16" ? 1 : 8));
        halves[i] = (bits & 0x8000) | ((exponent * unit + (bits % unit)) * (next() < 0.05 ? 0 : 1));
      });
      const short = await machine.load({ ...tensor, source: bytesSource(bytes) }, { target: "q8" });
      const wide = new Uint8Array(dequantise(type, bytes).buffer);
      const long = await machine.load(
        { ...tensor, type: "F32", source: bytesSource(wide), byteLength: wide.length },
        { target: "q8" },
      );
      assert.equal(rowsOf(machine, short), rowsOf(machine, long), `${type}, ${shift}`);
    }
});

test("a shape that needs more bytes than the file has is refused before memory is asked for", () => {
  const { tensor } = randomTensor("Q8_0", 8, 64, 3);
  assert.throws(
    () => planWeight({ ...tensor, shape: [2 ** 20, 2 ** 20] }),
    (error: Error) => error instanceof FormatError,
  );
  assert.throws(
    () => planWeight({ ...tensor, shape: [8, 65] }),
    (error: Error) => error instanceof FormatError,
  );
  assert.throws(
    () => planWeight({ ...tensor, shape: [512] }),
    (error: Error) => error instanceof FormatError,
  );
});

test("a float weight that is not finite is refused when it would be converted, and kept when not", async () => {
  const machine = new Machine("simd");
  const { tensor } = randomTensor("F16", 8, 64, 3);
  const bytes = await tensor.source.read(0, tensor.byteLength);
  bytes.set([0x00, 0x7c], (3 * 64 + 40) * 2);
  const broken = {
    ...tensor,
    source: { ...tensor.source, read: async (o: number, n: number) => bytes.slice(o, o + n) },
  };
  assert.is(rowsOf(machine, await machine.load(broken))[3 * 64 + 40], Number.POSITIVE_INFINITY);
  try {
    await machine.load(broken, { target: "q8" });
    assert.unreachable();
  } catch (error) {
    assert.instance(error, FormatError);
    assert.is((error as FormatError).place.offset, (3 * 64 + 32) * 2);
  }
});

test.run();
