import { test } from "uvu";
import * as assert from "uvu/assert";
import type { TensorType } from "#src/formats/model-file.js";
import { storedTypes } from "#src/matmul/stored-types.js";
import { Bench, runnableBuilds } from "../helpers/kernels.js";
import { fixture } from "../helpers/matmul.js";
import { dequantise } from "../twins/dequantise.js";
import { dequantiseI2S, dequantisePackedRows } from "../twins/dequantise-ternary.js";

interface Blocks {
  type: TensorType;
  rows?: number;
  columns?: number;
  hex: string;
  values: (number | string | null)[];
}
const bytesOf = (hex: string) => Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));

for (const { type, rows, columns, hex, values } of fixture<Blocks[]>("dequant.json"))
  test(`${type}: dequantised blocks equal the reference`, () => {
    const bytes = bytesOf(hex);
    let ours: Float32Array;
    if (type === "I2_S") ours = dequantiseI2S(bytes, "block128", rows as number, columns as number);
    else if (type === "HF_BITNET_U8") ours = dequantisePackedRows(bytes, rows as number, columns as number);
    else {
      assert.ok(storedTypes[type].block);
      ours = dequantise(type, bytes);
    }
    assert.is(ours.length, values.length);
    values.forEach((value, i) => {
      assert.is(Math.fround(Number(value)) + 0, (ours[i] as number) + 0, `value ${i}`);
    });
  });

interface ActivationRow {
  note: string;
  x: number[];
  scale: number;
  q: number[];
  sum_q: number;
}

for (const build of runnableBuilds)
  test(`quantise_per_token (${build}) gives the reference codes, scales and sums`, () => {
    const { columns, rows } = fixture<{ columns: number; rows: ActivationRow[] }>("actquant.json");
    const bench = new Bench(build);
    const stride = 16 + 3 * columns;
    const out = bench.alloc(rows.length * stride);
    const x = bench.put(Float32Array.from(rows.flatMap((row) => row.x)));
    bench.kernels.quantise_per_token(out, x, rows.length, columns);
    rows.forEach((row, t) => {
      const at = out + t * stride;
      assert.is(bench.f32(at, 1)[0], Math.fround(row.scale), row.note);
      assert.is(bench.i32(at + 4, 1)[0], row.sum_q, row.note);
      assert.equal([...bench.i8(at + 16, columns)], row.q, row.note);
      const pairs = new Int16Array(bench.memory.buffer, at + 16 + columns, columns);
      for (let c = 0; c < columns; c++) {
        const place = (c & ~3) + [0, 2, 1, 3][c & 3]!;
        assert.is(pairs[place], row.q[c], `16-bit code of column ${c}`);
      }
    });
  });

test.run();
