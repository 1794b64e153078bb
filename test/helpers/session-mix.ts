import { createHash } from "node:crypto";
import { loadModel } from "deltallm";
import fc from "fast-check";
import * as assert from "uvu/assert";
import { pagePool } from "#src/attention/create-cache.js";
import type { AttentionOptions } from "#src/attention/options.js";
import { embeddedCalibration } from "#src/embedded.js";
import type { EngineModel } from "#src/generate/model.js";
import type { EngineSession } from "#src/generate/session.js";
import type { CacheContent } from "#src/kv/cache.js";
import type { LoadOptions } from "#src/types.js";

const delta = {
  kind: "delta",
  calibration: await embeddedCalibration(),
  targetSparsity: 0.6,
  window: 16,
} satisfies AttentionOptions;
const { calibration } = delta;

/** Every kind of cache there is. */
export const cacheKinds: Record<string, LoadOptions> = {
  int8: {},
  f32: { kvCache: "f32" },
  "int8 with selection": { attention: { calibration, select: 0.04, valueCutoff: 0.0005 } },
  "delta by element": { attention: { ...delta, grain: "element" } },
  "delta by element with selection": { attention: { ...delta, grain: "element", basis: "score", select: 0.01 } },
  "delta by chunk": { attention: { ...delta, grain: "chunk", basis: "score", windowShape: "block" } },
  "delta by chunk with selection": { attention: { ...delta, grain: "chunk", basis: "score", select: 0.04 } },
  "delta by row": { attention: { ...delta, grain: "row" } },
  "delta by row without light values": { attention: { ...delta, grain: "row", basis: "score", valueCutoff: 0.02 } },
};

const CONTEXT = 512;
const PAGE = 64;
/** Bytes of some seven pages of the story model. */
const SMALL = 1 << 20;
const load = async (options: LoadOptions): Promise<EngineModel> =>
  (await loadModel("embedded", { contextLength: CONTEXT, engineThread: "caller", ...options })) as EngineModel;
const numbers = (count: number, seed: number) =>
  Array.from({ length: count }, (_, i) => ((i + seed) * 7919 + 13) % 4096);
/** Some begin alike, for one page or several. */
const prompts = [
  numbers(340, 1),
  [...numbers(200, 1), ...numbers(150, 2)],
  [...numbers(64, 1), ...numbers(70, 5)],
  numbers(130, 7),
  numbers(3, 9),
];
const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("base64");
const hashRow = (row: Float32Array) => hash(new Uint8Array(row.buffer, row.byteOffset, row.byteLength));
const turns = async (count: number) => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

const operation = fc.record({
  what: fc.constantFrom(
    "prompt",
    "more",
    "more",
    "step",
    "generate",
    "fork",
    "cut",
    "cut",
    "save",
    "cancel",
    "score",
    "evict",
    "leave",
  ),
  which: fc.nat(7),
  prompt: fc.nat(prompts.length - 1),
  length: fc.integer({ min: 1, max: 340 }),
  turns: fc.nat(6),
});
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

/** Somebody who uses the model while others do. */
const user = (operations: number) =>
  fc.record({
    joins: fc.nat(40),
    operations: fc.array(operation, { minLength: 1, maxLength: operations, size: "max" }),
  });

/** What somebody got, to be compared with what a model alone makes of the same tokens. */
interface Seen {
  ids: number[];
  /** Of the logits of the last token. */
  logits?: string | undefined;
  pages?: string[] | undefined;
}

/** Hashes of all that a cache of whole pages holds; empty where it needs it no more. */
function pagesOf(session: EngineSession): string[] {
  const content = session.cache as unknown as CacheContent;
  const found: string[] = [];
  const { keys, values, far, merged, progress } = content;
  for (let page = 0; page < content.length / PAGE; page++)
    // The newest references may fill their page in part, and are packed sooner in some caches than in others.
    for (const table of [keys, values, far])
      found.push(table?.page(page) && (table !== far || table.page(page)?.tag) ? hash(table.view(page)) : "");
  for (let span = 0; merged && span < progress.packedSpans; span++) found.push(hash(merged.view(span)));
  return found;
}

/** The same tokens on a model that nobody else uses, one prompt after the other. */
class Alone {
  readonly #known: { ids: number[]; rows: string[]; pages: string[] }[] = [];
  constructor(readonly model: EngineModel) {}

  async check(seen: readonly Seen[]): Promise<void> {
    for (const one of [...seen].sort((a, b) => b.ids.length - a.ids.length)) {
      const begins = (ids: number[]) => one.ids.every((id, i) => ids[i] === id);
      const known =
        this.#known.find(({ ids }) => begins(ids) && (!one.pages || ids.length === one.ids.length)) ??
        (await this.#compute(one.ids));
      if (one.logits) assert.is(one.logits, known.rows[one.ids.length - 1], `logits after ${one.ids.length} tokens`);
      if (!one.pages) continue;
      assert.is(one.pages.length, known.pages.length);
      const both = one.pages.flatMap((page, i) => (page && known.pages[i] ? [[page, known.pages[i]]] : []));
      assert.ok(both.length > 0);
      for (const [a, b] of both) assert.is(a, b, `keys and values of ${one.ids.length} tokens`);
    }
  }

  async #compute(ids: number[]) {
    const session = this.model.createSession() as EngineSession;
    const { vocab } = this.model.config;
    const all = await session.prefill(ids, { allLogits: true });
    const rows = ids.map((_, i) => hashRow(all.subarray(i * vocab, (i + 1) * vocab)));
    const known = { ids, rows, pages: ids.length % PAGE ? [] : pagesOf(session) };
    await session.dispose();
    this.#known.push(known);
    return known;
  }
}

/** Does what a user does. Returns what was seen. */
async function use(model: EngineModel, joins: number, operations: readonly Operation[]): Promise<Seen[]> {
  const seen: Seen[] = [];
  const open: EngineSession[] = [];
  const append = async (session: EngineSession, ids: number[]) => {
    const room = ids.slice(0, CONTEXT - PAGE - session.length);
    if (room.length > 0) seen.push({ logits: hashRow(await session.prefill(room)), ids: [...session.ids] });
  };
  await turns(joins);
  for (const { what, which, prompt, length, turns: wait } of operations) {
    const at = which % Math.max(open.length, 1);
    const session = open[at];
    const tokens = (prompts[prompt] as number[]).slice(0, length);
    if (what === "evict") for (let i = 0; i < wait; i++) model.prefixes.evict();
    else if (what === "prompt" || !session) {
      const begun = model.createSession() as EngineSession;
      open.push(begun);
      await append(begun, tokens);
    } else if (what === "more") await append(session, tokens.slice(0, 70));
    else if (what === "step") await append(session, [length]);
    else if (what === "fork") open.push(await session.fork());
    // Delta caches go back by a few tokens only; further back they begin anew.
    else if (what === "cut") session.cut(prompt % 2 ? length : Math.max(0, session.length - wait - 1));
    else if (what === "generate") {
      const asked = tokens.slice(0, 20);
      if (session.length + 40 < CONTEXT - PAGE)
        for await (const _ of session.generate(asked, { maxTokens: wait + 1, seed: length, temperature: 1 }));
    } else if (what === "save") {
      open[at] = (await model.restore(await session.save())) as EngineSession;
      assert.equal(open[at].ids, session.ids);
      await session.dispose();
    } else if (what === "cancel" || what === "leave") {
      const controller = new AbortController();
      const room = tokens.slice(0, CONTEXT - PAGE - session.length);
      if (room.length === 0) continue;
      const ended = session.prefill(room, { signal: controller.signal }).catch((error: Error) => error);
      await turns(wait);
      if (what === "cancel") controller.abort();
      else await open.splice(at, 1)[0]?.dispose();
      await ended;
    } else {
      const ids = [...tokens, 1, 2];
      const [score] = await model.score(tokens, [[1, 2]]);
      const [again] = await model.score(tokens, [[1, 2]]);
      assert.equal(score, again, `scores of ${ids.length} tokens`);
    }
  }
  for (const session of open) {
    await append(session, [5, 6]);
    await append(session, numbers((PAGE - (session.length % PAGE)) % PAGE, session.length));
    seen.push({ ids: [...session.ids], pages: pagesOf(session) });
    await session.dispose();
  }
  return seen;
}

/** Tries `runs` random mixes of up to 16 users who do up to `operations` things each. */
export async function tryMixes(options: LoadOptions, runs: number, operations: number): Promise<void> {
  const budget = 1 << 26;
  await using one = await load({ ...options, threads: 1, prefixCacheBytes: budget });
  await using two = await load({ ...options, threads: 2, prefixCacheBytes: budget });
  await using quiet = await load({ ...options, threads: 1, prefixCacheBytes: 0 });
  const alone = new Alone(quiet);
  const users = fc.array(user(operations), { minLength: 1, maxLength: 16, size: "max" });
  await fc.assert(
    fc.asyncProperty(users, fc.constantFrom(1, 2), fc.constantFrom(0, SMALL, budget), async (all, threads, most) => {
      const model = threads === 1 ? one : two;
      (model.prefixes as { budget: number }).budget = most;
      const seen = await Promise.all(all.map(({ joins, operations }) => use(model, joins, operations)));
      await alone.check(seen.flat());
      assert.is(model.open.size, 0);
      model.prefixes.clear();
      assert.is(pagePool(model.engine.memory).bytes, 0, "pages without an owner");
    }),
    { numRuns: runs },
  );
}
