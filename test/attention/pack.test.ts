import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Bench, runnableBuilds } from "../helpers/kernels.js";
import { packedChunks } from "../twins/delta.js";
import { random } from "./harness.js";

/** References of 64 keys with codes of the whole range, of which about `share` of the parts of `size` elements change. */
function references(headDim: number, size: number, share: number, seed: number): number[][] {
  const next = random(seed);
  const code = () => 1 + (Math.abs(Math.round(next() * 1e6)) % 127);
  let row = Array.from({ length: headDim }, code);
  return Array.from({ length: 64 }, () => {
    const changed = Array.from({ length: headDim / size }, () => Math.abs(next() * 1e6) % 1 < share);
    row = row.map((old, i) => (changed[Math.floor(i / size)] ? code() : old));
    return row;
  });
}

/** u8 [16 groups of 4 keys][headDim / 4][4 keys][4 elements]. */
function tileOf(rows: readonly number[][]): Uint8Array {
  const d = rows[0]?.length ?? 0;
  const tile = new Uint8Array(64 * d);
  rows.forEach((row, key) => {
    row.forEach((code, i) => {
      tile[(key >> 2) * 4 * d + (i >> 2) * 16 + (key & 3) * 4 + (i & 3)] = code;
    });
  });
  return tile;
}

for (const build of runnableBuilds)
  test(`packing is undone by unpacking; chunks as the twin has them (${build})`, () => {
    fc.assert(
      fc.property(
        fc.constantFrom(16, 32, 48, 64, 80, 128, 256),
        fc.constantFrom(0, 1, 2),
        fc.constantFrom(0, 0.1, 0.4, 0.9, 1),
        fc.nat(),
        (headDim, grain, share, seed) => {
          const bench = new Bench(build);
          const { kernels } = bench;
          const rows = references(headDim, [1, 16, headDim][grain] as number, share, seed);
          const tile = tileOf(rows);
          const at = bench.put(tile);
          const work = bench.alloc(Math.max(64, 2 * headDim));
          const table = bench.alloc(8192);
          kernels.expand_table(table);
          const bytes = kernels.delta_pack(0, at, headDim, grain, work);
          const packed = bench.alloc(bytes + 16);
          const memory = new Uint8Array(bench.memory.buffer);
          memory.fill(99, packed, packed + bytes + 16);
          assert.is(kernels.delta_pack(packed, at, headDim, grain, work), bytes);
          assert.equal(memory.subarray(packed + bytes, packed + bytes + 16), new Uint8Array(16).fill(99));
          if (grain === 1) assert.equal(memory.slice(packed, packed + bytes), packedChunks(rows));
          const unpacked = bench.alloc(tile.length);
          kernels.delta_unpack(unpacked, packed, headDim, grain, table, bench.alloc(headDim));
          assert.equal(new Uint8Array(bench.memory.buffer).slice(unpacked, unpacked + tile.length), tile);
        },
      ),
      { numRuns: 60 },
    );
  });

test.run();
