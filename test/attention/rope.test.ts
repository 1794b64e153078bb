import { test } from "uvu";
import * as assert from "uvu/assert";
import { fillRopeTable } from "#src/attention/rope.js";
import { Bench, runnableBuilds } from "../helpers/kernels.js";
import { config, randomArray } from "./harness.js";

const model = (headDim: number, more: object = {}) => ({ ...config({ heads: 2, kvHeads: 1, headDim }), ...more });
const llama3 = { factor: 32, lowFreqFactor: 1, highFreqFactor: 4, originalContextLength: 8192 };

const memoryOf = (bench: Bench) => ({
  alloc: (bytes: number) => bench.alloc(bytes),
  free: () => {},
  u8: (address: number, length: number) => new Uint8Array(bench.memory.buffer, address, length),
});

function frequency(j: number, headDim: number, theta: number, scaling?: typeof llama3): number {
  const plain = theta ** ((-2 * j) / headDim);
  if (!scaling) return plain;
  const wavelength = (2 * Math.PI) / plain;
  const { factor, lowFreqFactor, highFreqFactor, originalContextLength } = scaling;
  if (wavelength < originalContextLength / highFreqFactor) return plain;
  if (wavelength > originalContextLength / lowFreqFactor) return plain / factor;
  const smooth = (originalContextLength / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
  return ((1 - smooth) * plain) / factor + smooth * plain;
}

for (const build of runnableBuilds) {
  for (const [headDim, theta, ropeScaling] of [
    [16, 10000, undefined],
    [64, 500000, llama3],
    [128, 500000, undefined],
  ] as const)
    test(`RoPE table, d = ${headDim}, θ = ${theta} (${build})`, () => {
      const positions = 20000;
      const bench = new Bench(build);
      const table = bench.alloc(positions * headDim * 4);
      fillRopeTable(
        bench.kernels,
        memoryOf(bench),
        table,
        model(headDim, { ropeTheta: theta, ropeScaling }),
        positions,
        0,
      );
      const values = bench.f32(table, positions * headDim);
      let worst = 0;
      for (let p = 0; p < positions; p += p < 100 ? 1 : 97)
        for (let j = 0; j < headDim / 2; j++) {
          const angle = p * frequency(j, headDim, theta, ropeScaling);
          worst = Math.max(
            worst,
            Math.abs((values[p * headDim + j] as number) - Math.cos(angle)),
            Math.abs((values[p * headDim + headDim / 2 + j] as number) - Math.sin(angle)),
          );
        }
      assert.ok(worst < 4e-8, `off by ${worst}`);
    });

  test(`RoPE factors divide the frequencies, and take the place of scaling (${build})`, () => {
    const bench = new Bench(build);
    const factors = Float32Array.from({ length: 16 }, (_, j) => 1 + j);
    const table = bench.alloc(8 * 32 * 4);
    fillRopeTable(bench.kernels, memoryOf(bench), table, model(32, { ropeScaling: llama3 }), 8, bench.put(factors));
    const values = bench.f32(table, 8 * 32);
    for (let p = 0; p < 8; p++)
      for (let j = 0; j < 16; j++)
        assert.ok(Math.abs((values[p * 32 + j] as number) - Math.cos((p * frequency(j, 32, 10000)) / (1 + j))) < 4e-8);
  });

  test(`RoPE rotates half-split pairs, exactly as its scalar twin (${build})`, () => {
    const [tokens, heads, headDim] = [3, 2, 48];
    const bench = new Bench(build);
    const table = bench.alloc(16 * headDim * 4);
    fillRopeTable(bench.kernels, memoryOf(bench), table, model(headDim), 16, 0);
    const rows = bench.f32(table, 16 * headDim).slice();
    const x = randomArray(tokens * heads * headDim, 5);
    const at = bench.put(x);
    bench.kernels.rope_rotate(at, table + 7 * headDim * 4, tokens, heads, headDim);
    const f = Math.fround;
    const twin = Float32Array.from(x, (own, i) => {
      const j = i % headDim;
      const half = headDim / 2;
      const row = (7 + Math.floor(i / (heads * headDim))) * headDim;
      const [c, s] = [rows[row + (j % half)] as number, rows[row + half + (j % half)] as number];
      return j < half ? f(f(own * c) - f((x[i + half] as number) * s)) : f(f(own * c) + f((x[i - half] as number) * s));
    });
    assert.equal(Array.from(bench.f32(at, x.length)), Array.from(twin));
  });
}

test.run();
