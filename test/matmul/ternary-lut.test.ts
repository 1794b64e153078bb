import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { runnableBuilds } from "../helpers/kernels.js";
import { bitsOf, Machine, random, randomRanges, randomTensor, rowsOf, within } from "../helpers/matmul.js";
import { quantisePerToken } from "../twins/activations.js";
import { product } from "../twins/matmul.js";

for (const build of runnableBuilds) {
  test(`ternary-lut (${build}): every bit of a product equals the plain twin's and the other layout's`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 1100 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 3 }),
        fc.boolean(),
        fc.integer(),
        async (tiles, columns, tokens, threads, accumulate, seed) => {
          const machine = new Machine(build);
          const rows = tiles * 32;
          const { tensor } = randomTensor("BF16", rows, columns, seed);
          const master = { ...tensor, quantise: "absmean" as const };
          const weight = await machine.load(master, { lut: true });
          const plain = await machine.load(master);
          assert.is(weight.layout, "ternary-lut");
          assert.is(plain.layout, "ternary");
          assert.equal(rowsOf(machine, weight), rowsOf(machine, plain));
          const next = random(seed);
          const x = Float32Array.from({ length: tokens * columns }, () => next() * 20 - 10);
          const onto = accumulate ? Float32Array.from({ length: tokens * rows }, () => next() - 0.5) : undefined;
          const options = onto ? { threads, onto } : { threads };
          const out = machine.multiply(weight, x, tokens, options);
          assert.equal(out, machine.multiply(plain, x, tokens, options));
          if (onto) return;
          const view = new DataView(machine.memory.wasm.buffer);
          for (let t = 0; t < tokens; t++) {
            const record = quantisePerToken(x.slice(t * columns, (t + 1) * columns));
            const expected = product(weight, view, record);
            assert.equal(out.subarray(t * rows, (t + 1) * rows), expected);
            const ranges = randomRanges(rows, 32, next);
            const some = machine.multiply(weight, x.slice(t * columns, (t + 1) * columns), 1, { threads, ranges });
            assert.equal(bitsOf(some), within(expected, ranges));
          }
        },
      ),
      { numRuns: 12 },
    );
  });

  test(`ternary-lut (${build}): more rows than a panel, many tokens, the largest activations and codes`, async () => {
    const machine = new Machine(build);
    const [rows, columns, tokens] = [1024 + 96, 768, 131];
    const { tensor } = randomTensor("TQ2_0", rows, columns, 3, { sameScales: true });
    const bytes = await tensor.source.read(0, tensor.byteLength);
    // The first rows are all ones, the next all minus ones, the others random.
    const rowBytes = (columns / 256) * 66;
    for (let at = 0; at < 200 * rowBytes; at += 66) bytes.fill(at < 100 * rowBytes ? 0xaa : 0, at, at + 64);
    const source = { ...tensor.source, read: async (o: number, n: number) => bytes.slice(o, o + n) };
    const weight = await machine.load({ ...tensor, source }, { lut: true });
    const plain = await machine.load({ ...tensor, source });
    assert.is(weight.layout, "ternary-lut");
    assert.equal(rowsOf(machine, weight), rowsOf(machine, plain));
    for (const sign of [1, -1]) {
      const x = new Float32Array(tokens * columns).fill(sign * 3);
      for (const count of [1, tokens])
        for (const threads of [1, 3]) {
          const some = x.subarray(0, count * columns);
          assert.equal(machine.multiply(weight, some, count, { threads }), machine.multiply(plain, some, count));
        }
    }
  });

  test(`ternary-lut (${build}): matrices it cannot hold stay as they are`, async () => {
    const machine = new Machine(build);
    const load = (rows: number, stagingBytes: number, sameScales: boolean) =>
      machine.load(randomTensor("TQ2_0", rows, 512, 1, { sameScales }).tensor, { lut: true, stagingBytes });
    assert.is((await load(64, 1 << 16, true)).layout, "ternary-lut");
    assert.is((await load(40, 1 << 16, true)).layout, "ternary");
    assert.is((await load(1024, 1 << 16, true)).layout, "ternary");
    assert.is((await load(64, 1 << 16, false)).layout, "ternary");
  });
}

test.run();
