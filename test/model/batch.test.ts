import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { createCache } from "#src/attention/create-cache.js";
import type { AttentionOptions } from "#src/attention/options.js";
import { embeddedCalibration, openEmbedded } from "#src/embedded.js";
import type { KeyValueCache } from "#src/kv/cache.js";
import { Engine } from "#src/model/engine.js";
import type { Slice } from "#src/model/slice.js";

const CONTEXT = 512;
const calibration = await embeddedCalibration();
const delta = { kind: "delta", calibration, targetSparsity: 0.6, window: 64 } as const;
const kinds: { kind: "int8" | "f32"; attention: AttentionOptions }[] = [
  { kind: "int8", attention: {} },
  { kind: "f32", attention: {} },
  { kind: "int8", attention: { ...delta, grain: "element", basis: "raw" } },
  { kind: "int8", attention: { ...delta, grain: "chunk", basis: "score" } },
  { kind: "int8", attention: { ...delta, grain: "row", basis: "raw" } },
  { kind: "int8", attention: { ...delta, grain: "row", basis: "score", valueCutoff: 0.02 } },
  { kind: "int8", attention: { calibration, select: 0.04, valueCutoff: 0.0005 } },
  { kind: "int8", attention: { ...delta, grain: "element", basis: "score", select: 0.01 } },
  { kind: "int8", attention: { ...delta, grain: "chunk", basis: "score", select: 0.04, windowShape: "block" } },
];
const engines = await Promise.all(
  [1, 2, 3].map(async (threads) =>
    Engine.load(await openEmbedded(undefined), { threads, contextLength: CONTEXT, prefillChunk: 64 }),
  ),
);

function newCache(engine: Engine, kind: number): KeyValueCache {
  const { memory, config, kernels } = engine;
  return createCache(memory, config, { ...(kinds[kind] as (typeof kinds)[number]), contextLength: CONTEXT, kernels });
}

/** One row of logits as text that two equal rows have in common. */
function rowsAt(engine: Engine, address: number, rows: number): string[] {
  const { vocab } = engine.config;
  return Array.from({ length: rows }, (_, row) =>
    Buffer.from(engine.memory.u8(address + row * vocab * 4, vocab * 4)).toString("base64"),
  );
}

interface Sequence {
  kind: number;
  ids: number[];
  /** The pass before which it is there. */
  joins: number;
  /** The pass after which it is given up, unless it is the only one or complete by then. */
  leaves: number;
}

/** Logits of every token, and the cache as bytes, of a sequence that has the engine to itself. */
function alone(engine: Engine, { kind, ids }: Sequence) {
  const cache = newCache(engine, kind);
  const rows: string[] = [];
  for (let at = 0; at < ids.length; at += 64) {
    const piece = ids.slice(at, at + 64);
    const slice = { cache, position: at, tokens: piece.length, work: "prefill", want: "all" } as const;
    rows.push(...rowsAt(engine, engine.forward(piece, [slice])[0]!, piece.length));
  }
  const saved = Buffer.from(cache.save()).toString("base64");
  engine.close(cache);
  cache.dispose();
  return { rows, saved };
}

const sequence = (longest: number) =>
  fc.record({
    kind: fc.nat(kinds.length - 1),
    ids: fc.array(fc.nat(4095), { minLength: 1, maxLength: longest, size: "max" }),
    joins: fc.nat(6),
    leaves: fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.nat(20)),
  });

/** For each pass and sequence: tokens wanted, and which logits. More passes follow until all is computed. */
const passes = fc.array(
  fc.array(fc.tuple(fc.oneof(fc.constant(0), fc.constant(1), fc.nat(40)), fc.constantFrom("none", "last", "all")), {
    minLength: 16,
    maxLength: 16,
  }),
  { minLength: 4, maxLength: 12, size: "max" },
);

test("a sequence has the same logits and the same cache whoever shares its passes", () => {
  const mix = fc.oneof(
    fc.array(sequence(40), { minLength: 1, maxLength: 16, size: "max" }),
    fc.array(sequence(400), { minLength: 2, maxLength: 3 }),
  );
  fc.assert(
    fc.property(mix, passes, fc.nat(engines.length - 1), (sequences, plan, which) => {
      const engine = engines[which]!;
      const expected = sequences.map((one) => alone(engines[0]!, one));
      const open = new Map<number, KeyValueCache>();
      const coming = new Set(sequences.keys());
      const isComplete = ([index, cache]: [number, KeyValueCache]) => cache.length === sequences[index]!.ids.length;
      for (let pass = 0; coming.size > 0 || ![...open].every(isComplete); pass++) {
        for (const index of coming)
          if (sequences[index]!.joins <= pass) {
            open.set(index, newCache(engine, sequences[index]!.kind));
            coming.delete(index);
          }
        const slices: (Slice<KeyValueCache> & { index: number })[] = [];
        let room = engine.batch;
        for (const [index, cache] of open) {
          const [wish, want] = plan[pass % plan.length]![index % 16] as [number, Slice<unknown>["want"]];
          const left = sequences[index]!.ids.length - cache.length;
          const tokens = Math.min(pass < plan.length ? wish : Math.max(wish, 1), left, room);
          if (tokens === 0) continue;
          room -= tokens;
          slices.push({
            cache,
            position: cache.length,
            tokens,
            work: tokens === 1 ? "decode" : "prefill",
            want,
            index,
          });
        }
        const ids = slices.flatMap(({ index, position, tokens }) =>
          sequences[index]!.ids.slice(position, position + tokens),
        );
        if (ids.length === 0) continue;
        const addresses = engine.forward(ids, slices);
        for (const [i, { index, position, tokens, want }] of slices.entries()) {
          if (want === "none") {
            assert.is(addresses[i], 0);
            continue;
          }
          const from = want === "all" ? position : position + tokens - 1;
          const rows = rowsAt(engine, addresses[i]!, position + tokens - from);
          assert.ok(rows.every((row, r) => row === expected[index]!.rows[from + r]));
        }
        for (const [index, cache] of open) {
          if (sequences[index]!.leaves > pass || open.size === 1 || isComplete([index, cache])) continue;
          engine.close(cache);
          cache.dispose();
          open.delete(index);
        }
      }
      for (const [index, cache] of open) {
        assert.is(Buffer.from(cache.save()).toString("base64"), expected[index]!.saved);
        engine.close(cache);
        cache.dispose();
      }
    }),
    { numRuns: 12 },
  );
});

test("slices that do not fit their caches or the pass are refused with nothing computed", () => {
  const engine = engines[0]!;
  const cache = newCache(engine, 0);
  const slice = { cache, position: 0, tokens: 2, work: "prefill", want: "last" } as const;
  assert.throws(() => engine.forward([1], [slice]), /do not fit/);
  assert.throws(() => engine.forward([1, 2], [{ ...slice, position: 1 }]), /do not fit/);
  assert.throws(
    () => engine.forward(new Array(engine.batch + 1).fill(1), [{ ...slice, tokens: engine.batch + 1 }]),
    /do not fit/,
  );
  assert.is(cache.length, 0);
  engine.forward([1, 2], [slice]);
  assert.is(cache.length, 2);
  engine.close(cache);
  cache.dispose();
});

test.after(async () => {
  for (const engine of engines) await engine.dispose();
});
test.run();
