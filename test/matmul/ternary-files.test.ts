import { test } from "uvu";
import * as assert from "uvu/assert";
import { FormatError } from "#src/errors.js";
import type { I2SLayout, LinearTensor } from "#src/formats/model-file.js";
import { runnableBuilds } from "../helpers/kernels.js";
import { bytesSource, Machine, random, randomTensor, rowsOf } from "../helpers/matmul.js";
import { dequantiseI2S, dequantisePackedRows } from "../twins/dequantise-ternary.js";

const build = runnableBuilds[runnableBuilds.length - 1] ?? "simd";

/** Bytes with four random codes 0 … 2 each. */
function ternaryBytes(count: number, seed: number): Uint8Array {
  const next = random(seed);
  const code = () => Math.floor(next() * 3);
  return Uint8Array.from({ length: count }, () => code() | (code() << 2) | (code() << 4) | (code() << 6));
}

function i2sTensor(rows: number, columns: number, layout: I2SLayout, seed: number): [LinearTensor, Uint8Array] {
  const bytes = new Uint8Array((rows * columns) / 4 + 32);
  bytes.set(ternaryBytes((rows * columns) / 4, seed));
  new DataView(bytes.buffer).setFloat32((rows * columns) / 4, 0.75, true);
  const tensor: LinearTensor = {
    name: "test",
    type: "I2_S",
    shape: [rows, columns],
    source: bytesSource(bytes),
    offset: 0,
    byteLength: bytes.length,
    i2sLayout: layout,
  };
  return [tensor, bytes];
}

for (const layout of ["block128", "block64", "rows4"] as const)
  test(`I2_S ${layout} loads as its formula says, also where rows share blocks`, async () => {
    const machine = new Machine(build);
    for (const [rows, columns] of [
      [8, 128],
      [20, 256],
      [64, 96],
      [128, 36],
      [32, 2560],
    ] as const) {
      const [tensor, bytes] = i2sTensor(rows, columns, layout, rows + columns);
      const weight = await machine.load(tensor, { stagingBytes: 8192 + 12 * columns });
      assert.is(weight.scale, 0.75);
      assert.equal(rowsOf(machine, weight), dequantiseI2S(bytes, layout, rows, columns), `${rows} × ${columns}`);
    }
  });

test("I2_S: a code 3 is an error that names the byte", async () => {
  for (const layout of ["block128", "block64", "rows4"] as const) {
    const [tensor, bytes] = i2sTensor(32, 256, layout, 3);
    bytes[1234] = (bytes[1234] as number) | 0b00110000;
    try {
      await new Machine(build).load(tensor);
      assert.unreachable();
    } catch (error) {
      assert.instance(error, FormatError);
      assert.is((error as FormatError).place.offset, 1234, layout);
    }
  }
});

test("Hugging Face packed rows load as their formula says, for any number of rows", async () => {
  const machine = new Machine(build);
  for (const [rows, columns] of [
    [32, 64],
    [20, 48],
    [8, 5],
    [100, 256],
  ] as const) {
    const bytes = ternaryBytes(Math.ceil(rows / 4) * columns, rows);
    const tensor: LinearTensor = {
      name: "test",
      type: "HF_BITNET_U8",
      shape: [rows, columns],
      source: bytesSource(bytes),
      offset: 0,
      byteLength: bytes.length,
      scale: 1.5,
    };
    const weight = await machine.load(tensor, { stagingBytes: 8192 + 3 * columns });
    assert.is(weight.scale, 1.5);
    const expected = dequantisePackedRows(bytes, rows, columns).map((value) => value * 1.5);
    assert.equal(rowsOf(machine, weight), expected, `${rows} × ${columns}`);
  }
});

test("TQ1_0 and TQ2_0 with one scale everywhere become plain ternary matrices", async () => {
  const machine = new Machine(build);
  for (const type of ["TQ1_0", "TQ2_0"] as const) {
    const { tensor, values } = randomTensor(type, 16, 512, 1, { sameScales: true });
    const weight = await machine.load(tensor);
    assert.is(weight.blockScales, undefined);
    assert.is(weight.scale, 0.0625);
    assert.equal(rowsOf(machine, weight), values);
  }
});

test("a TQ2_0 block of scale 0 is zeros and does not count as another scale", async () => {
  const machine = new Machine(build);
  const { tensor, values } = randomTensor("TQ2_0", 8, 512, 1, { sameScales: true });
  const bytes = await tensor.source.read(0, tensor.byteLength);
  bytes[5 * 66 + 64] = 0;
  bytes[5 * 66 + 65] = 0;
  values.fill(0, 5 * 256, 6 * 256);
  const weight = await machine.load({ ...tensor, source: bytesSource(bytes) });
  assert.is(weight.scale, 0.0625);
  assert.equal(rowsOf(machine, weight), values);
});

test("absmean: a master matrix becomes ternary with the mean of its magnitudes as scale", async () => {
  const machine = new Machine(build);
  for (const type of ["BF16", "F16", "F32"] as const) {
    const { tensor, values } = randomTensor(type, 24, 100, 9);
    const mean = Math.fround(values.reduce((sum, value) => sum + Math.abs(value), 0) / values.length);
    const inverse = Math.fround(1 / mean);
    const weight = await machine.load({ ...tensor, quantise: "absmean" }, { stagingBytes: 8192 });
    assert.is(weight.layout, "ternary");
    assert.ok(Math.abs(weight.scale - mean) <= mean * 1e-6);
    const expected = values.map((value) => {
      const scaled = Math.fround(value * inverse);
      return weight.scale * (Math.abs(scaled) <= 0.5 ? 0 : Math.sign(scaled));
    });
    assert.equal(rowsOf(machine, weight), expected, type);
    const rounded = await machine.load({ ...tensor, quantise: "absmean", masterScaleBf16: true });
    assert.ok(Math.abs(rounded.scale - mean) <= mean / 256);
    assert.is(((new Uint32Array(new Float32Array([rounded.scale]).buffer)[0] ?? 1) & 0xffff) >>> 0, 0);
  }
});

test("rows in RoPE pairs are moved to halves, in every type", async () => {
  const machine = new Machine(build);
  for (const type of ["Q4_0", "Q8_0", "F16", "TQ2_0", "Q6_K"] as const) {
    const headDim = 8;
    const [rows, columns] = [24, 256];
    const { tensor, values } = randomTensor(type, rows, columns, 2, { sameScales: true });
    const weight = await machine.load({ ...tensor, rowOrder: "interleaved" }, { headDim, stagingBytes: 10000 });
    const expected = new Float32Array(values.length);
    for (let head = 0; head < rows / headDim; head++)
      for (let j = 0; j < headDim / 2; j++)
        for (let s = 0; s < 2; s++) {
          const from = (head * headDim + 2 * j + s) * columns;
          expected.set(values.subarray(from, from + columns), (head * headDim + s * (headDim / 2) + j) * columns);
        }
    assert.equal(rowsOf(machine, weight), expected, type);
  }
});

test("a scale that is not a number is an error that names the block", async () => {
  const { tensor } = randomTensor("Q8_0", 8, 64, 2);
  const bytes = await tensor.source.read(0, tensor.byteLength);
  bytes[34 * 3 + 1] = 0x7e;
  try {
    await new Machine(build).load({ ...tensor, source: bytesSource(bytes) });
    assert.unreachable();
  } catch (error) {
    assert.instance(error, FormatError);
    assert.is((error as FormatError).place.offset, 34 * 3);
  }
});

test.run();
