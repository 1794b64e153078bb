import { type AttentionOptions, type LoadOptions, loadModel, type Session, SessionError } from "deltallm";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { fuzzRounds } from "../helpers/fuzz-rounds.js";
import { mutateBytes, type Random } from "../helpers/header-fuzz.js";

// Sessions are prefilled, stepped, aborted, forked, cut, saved and restored in random order. After every operation that
// gives logits, they have the bits of the same tokens computed at once by another model. Minutes, seeds: fuzz-rounds.ts.

const CONTEXT = 400;
const delta = (grain: AttentionOptions["grain"], more: AttentionOptions = {}): LoadOptions => ({
  attention: { kind: "delta", grain, threshold: 0.6, window: 16, ...more },
});
const settings: Record<string, LoadOptions> = {
  "full, int8": { kvCache: "int8" },
  "full, f32": { kvCache: "f32" },
  "delta by element": delta("element", { windowScale: 0.2 }),
  "delta by chunk": delta("chunk", { valueCutoff: 0.01 }),
  "delta by row": delta("row", { windowShape: "block", sink: 70 }),
};

interface Tracked {
  session: Session;
  ids: number[];
}

const someIds = (random: Random, most: number) =>
  Array.from({ length: 1 + random.below(most) }, () => random.below(4096));

function checkBits(given: Float32Array, expected: Float32Array, what: string): void {
  const [a, b] = [given, expected].map((each) => new Uint32Array(each.slice().buffer)) as [Uint32Array, Uint32Array];
  const at = a.findIndex((word, i) => word !== b[i]);
  assert.ok(a.length === b.length && at < 0, `${what}: logit ${at} is ${given[at]}, not ${expected[at]}`);
}

for (const [name, options] of Object.entries(settings))
  test(`sessions in any order give the logits of a fresh computation: ${name}`, async () => {
    await using model = await loadModel("embedded", {
      ...options,
      contextLength: CONTEXT,
      engineThread: "caller",
      threads: 2,
      prefillChunk: 24,
    });
    await using other = await loadModel("embedded", {
      ...options,
      contextLength: CONTEXT,
      engineThread: "caller",
      threads: 1,
      prefillChunk: 400,
    });
    const fresh = async (ids: readonly number[]) => {
      const session = other.createSession();
      const logits = await session.prefill(ids);
      await session.dispose();
      return logits;
    };
    await fuzzRounds(5, async (random) => {
      const all: Tracked[] = [{ session: model.createSession(), ids: [] }];
      const done: string[] = [];
      for (let operation = 0; operation < 14; operation++) {
        const tracked = random.pick(all);
        const { session, ids } = tracked;
        const room = CONTEXT - ids.length;
        const kind = random.pick([
          "prefill",
          "prefill",
          "step",
          "abort",
          "fork",
          "truncate",
          "restore",
          "give up",
          "dispose",
        ] as const);
        done.push(`${kind} at ${ids.length}`);
        if (kind === "prefill" && room > 0) {
          const more = someIds(random, Math.min(room, random.pick([3, 30, 130])));
          ids.push(...more);
          checkBits(await session.prefill(more), await fresh(ids), done.join(", "));
        } else if (kind === "step" && room > 0) {
          const id = random.below(4096);
          ids.push(id);
          checkBits(await session.step(id), await fresh(ids), done.join(", "));
        } else if (kind === "abort" && room > 0) {
          const more = someIds(random, Math.min(room, 100));
          const controller = new AbortController();
          const after = random.below(10) / 10;
          const onProgress = ({ fraction }: { fraction: number }) => {
            if (fraction >= after) controller.abort(new Error("enough"));
          };
          if (after === 0) controller.abort(new Error("enough"));
          await session.prefill(more, { signal: controller.signal, onProgress }).catch((error: Error) => {
            assert.is(error.message, "enough", error.stack);
          });
          assert.ok(session.length >= ids.length && session.length <= ids.length + more.length);
          ids.push(...more.slice(0, session.length - ids.length));
        } else if (kind === "fork" && all.length < 4) {
          all.push({ session: await session.fork(), ids: [...ids] });
        } else if (kind === "truncate") {
          const wanted = random.below(ids.length + 1);
          const kept = await session.truncate(wanted);
          assert.ok(kept <= wanted, `cut to ${wanted}, ${kept} are left`);
          ids.length = kept;
        } else if (kind === "restore") {
          const saved = await session.save();
          if (random.below(2)) await session.dispose();
          tracked.session = await model.restore(saved);
        } else if (kind === "give up") {
          const controller = new AbortController();
          const { signal } = controller;
          if (random.below(2)) controller.abort(new Error("enough"));
          else setImmediate(() => controller.abort(new Error("enough")));
          const call = random.pick([
            () => session.save({ signal }),
            async () => (await session.fork({ signal })).dispose(),
            async () => (await model.restore(await session.save(), { signal })).dispose(),
            () => model.score(ids, [[1, 2], [3]], { signal }),
          ]);
          if (ids.length < CONTEXT - 2)
            await call().catch((error: Error) => assert.is(error.message, "enough", error.stack));
        } else if (kind === "dispose" && all.length > 1) {
          await session.dispose();
          all.splice(all.indexOf(tracked), 1);
        }
        for (const each of all) assert.is(each.session.length, each.ids.length, done.join(", "));
      }
      for (const { session, ids } of all) {
        if (ids.length < CONTEXT) checkBits(await session.step(7), await fresh([...ids, 7]), `${done.join(", ")}, end`);
        await session.dispose();
      }
    });
  });

for (const [name, options] of Object.entries(settings))
  test(`changed bytes of a saved session are refused by name: ${name}`, async () => {
    await using model = await loadModel("embedded", {
      ...options,
      contextLength: CONTEXT,
      engineThread: "caller",
      threads: 1,
    });
    const session = model.createSession();
    const ids = Array.from({ length: 200 }, (_, i) => (i * 7919 + 13) % 4096);
    const logits = await session.prefill(ids);
    await session.truncate(190);
    await session.prefill(ids.slice(session.length));
    const saved = await session.save();
    await fuzzRounds(150, async (random) => {
      const changed = mutateBytes(saved, random);
      if (changed.length === saved.length && changed.every((byte, i) => byte === saved[i])) return;
      await model.restore(changed).then(
        () => assert.unreachable("it was restored"),
        (error) => assert.instance(error, SessionError, error.stack),
      );
    });
    const restored = await model.restore(saved);
    assert.is(restored.length, 200);
    await restored.truncate(199);
    checkBits(await restored.prefill(ids.slice(restored.length)), logits, "after all refusals");
  });

test.run();
