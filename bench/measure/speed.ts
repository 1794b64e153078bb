import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AttentionOptions, Calibration, Model, Session } from "#src/index.js";
import type { PlainTable } from "../tables/measured.js";
import { chosen, completedSince, type Files, idsOf, load, median, note, where } from "./smollm2.js";

const DEPTH = 7000;
const STEPS = 24;
const PROMPT = 128;
const CONTEXT = 8192;

const names = [
  "full attention",
  "`fast`",
  "`fast`, `select: 0.01`",
  "`small`",
  "element grain, 60 %",
  "chunk grain, 60 %, ε = 0.001",
  "row grain, 60 %",
];

interface Side {
  name: string;
  model: Model;
  session: Session;
  decode: number[];
  prefill: number[];
  decodeAttention: number[];
  prefillAttention: number[];
  completed: number | undefined;
  bytesRead: number;
  kvBytes: number;
}

interface SpeedOptions {
  calibration: Calibration;
  rounds: number;
  /** Folder in which the caches of the long text are kept, so that a second run only measures. */
  keep?: string | undefined;
  /** Only fill that folder. */
  prepare: boolean;
}

/** Decode and prefill of SmolLM2 behind 7,000 tokens of text, one thread, all settings in turn. */
export async function speed(files: Files, options: SpeedOptions): Promise<PlainTable | undefined> {
  const { calibration, rounds, keep, prepare } = options;
  const sides: Side[] = [];
  let ids: number[] = [];
  for (const [name, attention] of chosen(names, calibration)) {
    note(name);
    const file = keep && join(keep, `${fingerprint(attention)}.session`);
    if (file && !existsSync(file)) {
      mkdirSync(keep, { recursive: true });
      await using model = await load(files, { contextLength: CONTEXT, attention });
      const session = model.createSession();
      await session.prefill(idsOf(model, files.text, DEPTH));
      writeFileSync(file, await session.save());
    }
    if (prepare) continue;
    const model = await load(files, {
      contextLength: CONTEXT,
      threads: 1,
      attention,
      profile: true,
      engineThread: "caller",
      prefixCacheBytes: 0,
    });
    ids = idsOf(model, files.text, CONTEXT);
    const session = file ? await model.restore(readFileSync(file)) : model.createSession();
    if (!file) await session.prefill(ids.slice(0, DEPTH));
    const samples = { decode: [], prefill: [], decodeAttention: [], prefillAttention: [] };
    sides.push({ name, model, session, ...samples, completed: undefined, bytesRead: 1, kvBytes: 0 });
  }
  if (prepare) return undefined;
  let at = DEPTH;
  for (let round = 0; round < rounds; round++) {
    if (at + STEPS + PROMPT > CONTEXT) throw new Error(`at most ${round} rounds find room`);
    for (const side of round % 2 ? [...sides].reverse() : sides) await measure(side, ids, at);
    at += STEPS + PROMPT;
  }
  for (const { model } of sides) await model.dispose();
  return {
    kind: "table",
    measured: `${where()}, one thread; SmolLM2-135M-Instruct Q4_1 behind 7,000 tokens of WikiText-2 test, calibrated on 8,192 tokens of WikiText-2 valid, medians of ${rounds} interleaved rounds of ${STEPS} + ${PROMPT} tokens`,
    commands: ["npm run measure -- selection-smollm2 --keep sessions"],
    columns: [
      { title: "after 7,000 tokens" },
      { title: "groups completed", format: "%0" },
      { title: "decode, ms per token", format: "1" },
      { title: "attention of that", format: "1" },
      { title: "prefill of 128, ms", format: "0" },
      { title: "attention of it", format: "0" },
      { title: "bytes read", format: "2" },
      { title: "KV memory, MB", format: "1" },
    ],
    rows: sides.map((side) => [
      side.name,
      side.completed ?? null,
      median(side.decode),
      median(side.decodeAttention),
      median(side.prefill),
      median(side.prefillAttention),
      side.bytesRead,
      side.kvBytes / 1e6,
    ]),
  };
}

async function measure(side: Side, ids: readonly number[], at: number): Promise<void> {
  const { model, session } = side;
  const before = model.stats().attention.selected;
  model.resetStats();
  let start = performance.now();
  for (let i = 0; i < STEPS; i++) await session.step(ids[at + i] as number);
  side.decode.push((performance.now() - start) / STEPS);
  const { profile, attention } = model.stats();
  side.decodeAttention.push((profile?.attention ?? 0) / STEPS);
  side.completed = completedSince(model, before);
  side.bytesRead = attention.bytesRead;
  side.kvBytes = attention.kvBytes;
  model.resetStats();
  start = performance.now();
  await session.prefill(ids.slice(at + STEPS, at + STEPS + PROMPT));
  side.prefill.push(performance.now() - start);
  side.prefillAttention.push(model.stats().profile?.attention ?? 0);
}

const fingerprint = (attention: AttentionOptions) =>
  createHash("sha256").update(JSON.stringify(attention)).digest("hex").slice(0, 12);
