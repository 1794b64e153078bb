import { readdirSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { createCache } from "#src/attention/create-cache.js";
import { openEmbedded } from "#src/embedded.js";
import type { EngineModel } from "#src/generate/model.js";
import type { EngineSession } from "#src/generate/session.js";
import { loadModel } from "#src/index.js";
import type { KeyValueCache } from "#src/kv/cache.js";
import { Engine } from "#src/model/engine.js";
import { headRanges } from "#src/model/head.js";
import type { Slice } from "#src/model/slice.js";
import { tokensOf } from "../helpers/constraints.js";
import { shared } from "../helpers/fixtures.js";

const heads = [undefined, "f16", "q6", "q4"] as const;
const engines = await Promise.all(
  heads.flatMap((head) =>
    [1, 3].map(async (threads) =>
      Engine.load(await openEmbedded(undefined), { threads, contextLength: 128, prefillChunk: 32, head }),
    ),
  ),
);
test.after(async () => {
  for (const engine of engines) await engine.dispose();
});

/** Masks as constraints make them: one token, a few, runs of neighbours, most; also shorter and longer than the rows. */
const mask = (vocab: number) =>
  fc
    .record({
      words: fc.constantFrom(vocab / 32, vocab / 32, vocab / 32 - 3, vocab / 32 + 2),
      tokens: fc.oneof(fc.uniqueArray(fc.nat(vocab - 97), { minLength: 1, maxLength: 40 }), fc.constant([vocab - 200])),
      runs: fc.array(fc.tuple(fc.nat(vocab - 97), fc.nat(60)), { maxLength: 3 }),
      most: fc.boolean(),
    })
    .map(({ words, tokens, runs, most }) => {
      const bits = new Uint32Array(words);
      const allow = (id: number) => {
        bits[id >>> 5]! |= 1 << (id & 31);
      };
      for (const id of tokens) allow(id);
      for (const [from, count] of runs) for (let id = from; id < Math.min(from + count, vocab - 97); id++) allow(id);
      return most ? bits.map((word) => ~word) : bits;
    });

const sequence = fc.record({
  ids: fc.array(fc.nat(4095), { minLength: 1, maxLength: 12, size: "max" }),
  want: fc.constantFrom("none" as const, "last" as const, "all" as const),
  masks: fc.array(fc.option(mask(4096), { freq: 2 }), { minLength: 12, maxLength: 12 }),
});

function alone(engine: Engine, ids: readonly number[]): Float32Array {
  const cache = newCache(engine);
  const slice = { cache, position: 0, tokens: ids.length, work: "prefill", want: "all" } as const;
  const [address] = engine.forward(ids, [slice]);
  const logits = engine.memory.f32(address as number, ids.length * 4096).slice();
  engine.close(cache);
  cache.dispose();
  return logits;
}

function newCache(engine: Engine): KeyValueCache {
  const { memory, config, kernels } = engine;
  return createCache(memory, config, { kind: "int8", contextLength: 128, kernels, attention: {} });
}

test("under masks the logits of allowed tokens have the bits they have without, whoever shares the pass", () => {
  fc.assert(
    fc.property(
      fc.nat(engines.length - 1),
      fc.array(sequence, { minLength: 1, maxLength: 2, size: "max" }),
      (which, sequences) => {
        const engine = engines[which]!;
        const slices = sequences.map(({ ids, want, masks }): Slice<KeyValueCache> => {
          const ranges = masks.map((bits) => (bits ? engine.headRanges(bits) : undefined));
          return { cache: newCache(engine), position: 0, tokens: ids.length, work: "prefill", want, ranges };
        });
        const expected = sequences.map(({ ids }) => alone(engine, ids));
        const addresses = engine.forward(
          sequences.flatMap(({ ids }) => ids),
          slices,
        );
        for (const [i, { ids, want, masks }] of sequences.entries()) {
          const rows = want === "all" ? ids.length : want === "last" ? 1 : 0;
          for (let row = 0; row < rows; row++) {
            const got = new Uint32Array(engine.memory.f32(addresses[i]! + row * 4096 * 4, 4096).slice().buffer);
            const from = (ids.length - rows + row) * 4096;
            const full = new Uint32Array(expected[i]!.slice(from, from + 4096).buffer);
            const bits = masks[row];
            const allowed = (bits ? tokensOf(bits) : [...full.keys()]).filter((id) => id < 4096);
            if (bits && allowed.length === 1) assert.equal(engine.headRanges(bits), []);
            else assert.ok(allowed.every((id) => got[id] === full[id]));
          }
        }
        for (const { cache } of slices) {
          engine.close(cache);
          cache.dispose();
        }
      },
    ),
    { numRuns: 150 },
  );
});

for (const name of ["granite", "gemma3", "qwen3"]) {
  const folder = shared("golden", "arch", name);
  if (!folder) continue;
  test(`the same with the head of ${name}: its divisor, its soft cap, its weights`, async () => {
    const file = readdirSync(folder).find((file) => file.endsWith("q8_0.gguf") || file.endsWith("f16.gguf"));
    const model = await loadModel(join(folder, file as string), { engineThread: "caller" });
    const { engine } = model as EngineModel;
    const { vocab } = model.config;
    const session = model.createSession() as EngineSession;
    const full = new Uint32Array((await session.prefill([3, 4, 5])).buffer);
    await session.truncate(2);
    for (const tokens of [[1], [1, 2], [9, vocab - 1], [40, 100, 101, 102]]) {
      const bits = new Uint32Array(Math.ceil(vocab / 32));
      for (const id of tokens) bits[id >>> 5]! |= 1 << (id & 31);
      const ranges = [engine.headRanges(bits)];
      assert.is(ranges[0]?.length === 0, tokens.length === 1);
      await session.advance([5], { ranges }, (address) => {
        const got = new Uint32Array(engine.memory.f32(address, vocab).slice().buffer);
        if (tokens.length > 1) assert.ok(tokens.every((id) => got[id] === full[id]));
      });
      await session.truncate(2);
    }
    await model.dispose();
  });
}

test("the rows of the head that are multiplied hold every allowed token, and not many others", () => {
  const around = (id: number, unit: number, vocab: number) => [
    id - (id % unit),
    Math.min(id - (id % unit) + unit, vocab),
  ];
  const bits = new Uint32Array(128);
  const allow = (id: number) => {
    bits[id >>> 5]! |= 1 << (id & 31);
  };
  allow(4001);
  for (const unit of [8, 32]) assert.equal(headRanges(bits, 4005, unit), []);
  allow(100);
  for (const unit of [8, 32, 64])
    assert.equal(headRanges(bits, 4005, unit), [...around(100, unit, 4005), ...around(4001, unit, 4005)]);
  allow(4002);
  assert.equal(headRanges(bits, 4005, 8), [96, 104, 4000, 4005]);
  assert.equal(headRanges(new Uint32Array(128).fill(2 ** 32 - 1), 4096, 8), undefined);
  // Beyond the rows there is nothing.
  assert.equal(headRanges(bits, 4000, 8), []);
  assert.equal(headRanges(new Uint32Array(0), 4000, 8), []);
});

test.run();
