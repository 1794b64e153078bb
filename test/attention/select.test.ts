import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { AttentionOptions } from "#src/attention/options.js";
import { resolveAttention } from "#src/attention/resolve.js";
import { OptionError } from "#src/errors.js";
import { type Calibration, decodeTriangle, SLOPES } from "#src/kv/calibration.js";
import { runnableBuilds } from "../helpers/kernels.js";
import { attentionInt8, type Shape } from "../twins/attention.js";
import { headRows } from "../twins/delta.js";
import { quantisedQuery, type Selection, wantedGroups } from "../twins/selection.js";
import { expected, fakeCalibration, walk } from "./delta-data.js";
import { config, firstDifference, Rig } from "./harness.js";

const shapes = fc
  .record({
    kvHeads: fc.integer({ min: 1, max: 2 }),
    group: fc.integer({ min: 1, max: 6 }),
    headDim: fc.constantFrom(32, 64, 128),
  })
  .map(({ kvHeads, group, headDim }): Shape => ({ kvHeads, heads: kvHeads * group, headDim }));
const kinds = fc.constantFrom("full", "element", "chunk");
const chunks = fc.array(fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 200 }), fc.constant(520)), {
  minLength: 1,
  maxLength: 5,
});

function base64(numbers: readonly number[]): string {
  const bytes = new Uint8Array(Float32Array.from(numbers).buffer);
  return btoa(String.fromCharCode(...bytes));
}

/** A calibration with one margin for all slopes. */
function withSelection(shape: Shape, seed: number, margin: number, lead = shape.headDim > 64 ? 32 : 16): Calibration {
  const calibration = fakeCalibration(shape, seed);
  const rest = shape.headDim - lead;
  const triangle: number[] = [];
  for (let i = 0; i < rest; i++) for (let j = i; j < rest; j++) triangle.push(i === j ? 0.2 : 0.01);
  for (const head of calibration.heads)
    head.select = {
      lead,
      mean: Array.from({ length: rest }, (_, i) => ((i % 5) - 2) / 20),
      covariance: base64(triangle),
      margins: SLOPES.map(() => margin),
    };
  return calibration;
}

function optionsOf(kind: string, calibration: Calibration, more: AttentionOptions = {}): AttentionOptions {
  if (kind === "full") return { basis: "score", calibration, ...more };
  const threshold = 0.4 * Math.sqrt(kind === "element" ? 1 : 16);
  return { kind: "delta", grain: kind as "element" | "chunk", basis: "score", threshold, calibration, ...more };
}

/** A query in units of the grid's steps, as the kernels map it. */
function gridQuery({ basis, steps }: ReturnType<typeof expected>, headDim: number) {
  const f = Math.fround;
  const row = (i: number, j: number) => f((basis?.inverse[i * headDim + j] as number) * (steps[i] as number));
  return (query: Float32Array) =>
    Float32Array.from(steps, (_, i) => query.reduce((y, x, j) => f(y + f(x * row(i, j))), 0));
}

/** What the grid makes of a calibration's selection of a KV head. */
function selectionOf(calibration: Calibration, kv: number, steps: readonly number[]): Selection {
  const { select, scoreCenters } = calibration.heads[kv] as Calibration["heads"][number];
  if (!select) throw new Error("no selection");
  const { lead, mean } = select;
  const rest = steps.slice(lead);
  const covariance = decodeTriangle(select.covariance, rest.length);
  return {
    lead,
    margin: select.margins[0] as number,
    deviations: 3,
    mean: rest.map((step, i) => Math.fround(((mean[i] as number) - (scoreCenters?.[lead + i] ?? 0)) / step)),
    covariance: rest.flatMap((a, i) =>
      rest.map((b, j) => Math.fround((covariance[i * rest.length + j] as number) / (a * b))),
    ),
  };
}

for (const build of runnableBuilds) {
  test(`an endless margin has the bits of attention to all keys (${build})`, () => {
    fc.assert(
      fc.property(
        shapes,
        kinds,
        chunks,
        fc.constantFrom(0, 0.01),
        fc.nat(),
        (shape, kind, sizes, valueCutoff, seed) => {
          const tokens = sizes.reduce((a, b) => a + b, 0);
          const data = walk(shape, tokens, seed);
          const calibration = withSelection(shape, seed, 1e30);
          const all = new Rig(build, shape, tokens, {
            kind: "int8",
            attention: optionsOf(kind, calibration, { valueCutoff }),
          });
          const selected = new Rig(build, shape, tokens, {
            kind: "int8",
            attention: optionsOf(kind, calibration, { valueCutoff, select: 0.01 }),
          });
          assert.is(firstDifference(all.run(...data), selected.runChunks(...data, sizes)), -1);
          assert.is(selected.cache.stats().selected?.completedShare, 1);
        },
      ),
      { numRuns: 15 },
    );
  });

  test(`what is selected depends on no chunk, thread or neighbour (${build})`, () => {
    fc.assert(
      fc.property(
        shapes,
        kinds,
        chunks,
        fc.integer({ min: 1, max: 3 }),
        fc.constantFrom(-8, -2, 0, 2),
        fc.constantFrom(0, 0.001),
        fc.nat(),
        (shape, kind, sizes, threads, margin, valueCutoff, seed) => {
          const tokens = sizes.reduce((a, b) => a + b, 0);
          const data = walk(shape, tokens, seed);
          const calibration = withSelection(shape, seed, margin);
          const attention = optionsOf(kind, calibration, { valueCutoff, select: 0.02 });
          const once = new Rig(build, shape, tokens, { kind: "int8", attention });
          const parts = new Rig(build, shape, tokens, { kind: "int8", attention, threads });
          assert.is(firstDifference(once.run(...data), parts.runChunks(...data, sizes)), -1);
          const [a, b] = [once.cache.stats().selected, parts.cache.stats().selected];
          assert.is(a?.groups, b?.groups);
          assert.is(a?.completedGroups, b?.completedGroups);
        },
      ),
      { numRuns: 20 },
    );
  });

  test(`selection follows its definition: bits of the outputs, counters (${build})`, () => {
    fc.assert(
      fc.property(
        shapes,
        kinds,
        fc.integer({ min: 150, max: 700 }),
        fc.constantFrom(-6, -2, 0, 2),
        fc.nat(),
        (shape, kind, tokens, margin, seed) => {
          const [queries, keys, values] = walk(shape, tokens, seed);
          const calibration = withSelection(shape, seed, margin);
          const attention = optionsOf(kind, calibration, { select: 0.01 });
          const rig = new Rig(build, shape, tokens, { kind: "int8", attention });
          const out = rig.run(queries, keys, values);
          const { windowStart, delta } = resolveAttention(attention, config(shape), tokens);
          const { heads, kvHeads, headDim } = shape;
          const group = heads / kvHeads;
          const together = Math.ceil(group / Math.ceil(group / 4));
          let [completed, offered] = [0, 0];
          for (let kv = 0; kv < kvHeads; kv++) {
            const walked = expected(shape, attention, keys, kv);
            const onGrid = gridQuery(walked, headDim);
            const selection = selectionOf(calibration, kv, walked.steps);
            const from = delta ? windowStart : () => Number.POSITIVE_INFINITY;
            for (let t = 0; t < tokens; t++) {
              const window = from(t);
              const used = walked.codes
                .slice(0, t + 1)
                .map((code, j) => (!delta || j < 4 || j >= window ? code : (walked.rows[j] as number[])));
              for (let first = 0; first < group; first += together) {
                const rows = Array.from({ length: Math.min(together, group - first) }, (_, r) => {
                  const at = (t * heads + kv * group + first + r) * headDim;
                  return { at, query: onGrid(queries.subarray(at, at + headDim)) };
                });
                const wanted = wantedGroups(
                  rows.map(({ query }) => quantisedQuery(query)),
                  used,
                  window,
                  selection,
                );
                completed += wanted.filter(Boolean).length;
                offered += wanted.length;
                if (t !== tokens - 1 && t !== 200) continue;
                const seen = headRows(values, shape, kv).slice(0, t + 1);
                for (const { at, query } of rows) {
                  const twin = attentionInt8(query, [], seen, used, false, 0, wanted);
                  assert.is(firstDifference(out.slice(at, at + headDim), twin), -1, `token ${t}`);
                }
              }
            }
          }
          const { selected } = rig.cache.stats();
          // The rig attends twice.
          assert.is(selected?.completedGroups, 2 * completed);
          assert.is(selected?.groups, 2 * offered);
          for (const name of ["completedGroups", "groups"] as const)
            assert.is(
              rig.cache.stats().heads.reduce((sum, head) => sum + (head.selected?.[name] ?? 0), 0),
              selected?.[name],
              "heads add up to all of it",
            );
        },
      ),
      { numRuns: 8 },
    );
  });

  test(`a smaller margin completes fewer keys, with less work (${build})`, () => {
    const shape = { heads: 4, kvHeads: 1, headDim: 64 };
    const data = walk(shape, 1500, 3);
    let before = { completedShare: 2, exponentials: Number.POSITIVE_INFINITY };
    let macs = -1;
    for (const margin of [1e30, 2, -2, -6, -12]) {
      const attention = optionsOf("full", withSelection(shape, 3, margin), { select: 0.01 });
      const rig = new Rig(build, shape, 1500, { kind: "int8", attention });
      rig.run(...data);
      const { selected, skippedMacs } = rig.cache.stats();
      assert.ok(selected && selected.completedShare <= before.completedShare, `${margin}: ${selected?.completedShare}`);
      assert.ok(selected.exponentials <= before.exponentials && skippedMacs >= macs);
      [before, macs] = [selected, skippedMacs];
    }
    assert.ok(before.completedShare < 0.5 && macs > 0.3, `${before.completedShare} ${macs}`);
  });
}

test("saved sessions are the same with selection as without, and go on in either", () => {
  const shape = { heads: 4, kvHeads: 2, headDim: 128 };
  const calibration = withSelection(shape, 5, -2);
  const [data, more] = [walk(shape, 400, 5), walk(shape, 40, 6)];
  const rig = (attention: AttentionOptions) =>
    new Rig("simd", shape, 500, { kind: "int8", attention: optionsOf("full", calibration, attention) });
  const [all, some] = [rig({}), rig({ select: 0.01 })];
  all.run(...data);
  some.run(...data);
  const saved = some.cache.save();
  assert.equal(saved, all.cache.save());
  for (const [origin, options] of [
    [all, {}],
    [some, { select: 0.01 }],
  ] as const) {
    const restored = rig(options);
    restored.cache.restore(saved);
    assert.is(firstDifference(restored.run(...more), origin.run(...more)), -1);
  }
});

test("selection is refused where it cannot work", () => {
  const shape = { heads: 2, kvHeads: 1, headDim: 32 };
  const calibration = withSelection(shape, 1, 3);
  const refused = (attention: AttentionOptions) =>
    assert.throws(
      () => new Rig("simd", shape, 64, { kind: "int8", attention }),
      (error: unknown) => error instanceof OptionError,
    );
  refused({ select: 0.01, basis: "raw", calibration });
  refused({ select: 0.01 });
  refused({ select: 7, basis: "score", calibration });
  refused({ select: 0.01, basis: "score", calibration: fakeCalibration(shape, 1) });
  refused({ kind: "delta", grain: "row", select: 0.01, basis: "score", calibration });
  refused({ preset: "fast" });
  refused({ preset: "quick" as never, calibration });
});

test.run();
