import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { compare } from "#src/eval/compare.js";
import { type EvalLog, type LogHeader, logLine, parseLog } from "#src/eval/log.js";
import { LogFile } from "#src/eval/log-file.js";
import { mergeLogs } from "#src/eval/merge.js";
import type { EvalRecord } from "#src/eval/records.js";
import { summarise } from "#src/eval/summary.js";
import { FormatError, OptionError } from "#src/index.js";

const test = suite("logs");
const folder = mkdtempSync(join(tmpdir(), "deltallm-eval-"));
test.after(() => rmSync(folder, { recursive: true }));

const header: LogHeader = {
  format: "deltallm-eval",
  version: 1,
  model: { name: "m", fingerprint: "f00" },
  settings: { kvCache: "int8", attention: { kind: "full" } },
  tasks: [
    { task: "piqa", sha256: "aa", n: 4 },
    { task: "lambada", sha256: "bb", n: 3 },
  ],
};
const choice = (index: number, gold: number, a: number, b: number): EvalRecord => ({
  task: "piqa",
  index,
  gold,
  logprobs: [a, b],
  tokens: [2, 3],
  bytes: [5, 9],
});
const records: EvalRecord[] = [
  choice(0, 0, -1.5, -2),
  choice(1, 1, -1, -2),
  choice(2, 1, -3, -2.25),
  choice(3, 0, -4, -9),
  { task: "lambada", index: 0, logprob: -0.5, tokens: 1, greedy: true },
  { task: "lambada", index: 1, logprob: -2.5, tokens: 2, greedy: false },
  { task: "lambada", index: 2, logprob: -0.25, tokens: 1, greedy: true },
];
const run = (computed: number, deltaSparsity: number) => ({
  examples: 2,
  computed,
  attention: {
    kind: "delta" as const,
    grain: "element" as const,
    basis: "raw" as const,
    deltaSparsity,
    attentionSparsity: deltaSparsity,
    skippedMacs: 0,
    bytesRead: 1,
    kvBytes: 0,
    kvBytesFull: 0,
  },
});

test("a torn last line is cut off, and the log goes on", () => {
  const file = join(folder, "torn.jsonl");
  const whole = logLine(header) + records.map(logLine).join("");
  // Killed at every byte of the last record, and in the middle of the header.
  const lastStart = whole.lastIndexOf("\n", whole.length - 2) + 1;
  for (const cut of [
    10,
    logLine(header).length - 1,
    ...Array.from({ length: whole.length - lastStart }, (_, i) => lastStart + i),
  ]) {
    writeFileSync(file, whole.slice(0, cut));
    const log = new LogFile(file, header);
    const done = log.earlier?.records.length ?? 0;
    assert.is(done, cut < lastStart ? 0 : records.length - 1);
    for (const record of records.slice(done)) log.add(record);
    assert.is(readFileSync(file, "utf8"), whole, `cut at ${cut}`);
  }
});

test("bytes of a torn character do no harm", () => {
  const file = join(folder, "torn-utf8.jsonl");
  const start = logLine(header) + logLine(records[0] as EvalRecord);
  writeFileSync(file, start);
  appendFileSync(file, Buffer.from([0x7b, 0xe2, 0x82]));
  assert.is(new LogFile(file, header).earlier?.records.length, 1);
  assert.is(readFileSync(file, "utf8"), start);
});

test("a log of another run is refused, whatever differs, and stays as it is", () => {
  const file = join(folder, "other.jsonl");
  new LogFile(file, header).add(records[0] as EvalRecord);
  const before = readFileSync(file, "utf8");
  const others: [LogHeader, RegExp][] = [
    [{ ...header, model: { name: "m", fingerprint: "f01" } }, /model m f00 ≠ m f01/],
    [{ ...header, settings: { ...header.settings, kvCache: "f32" } }, /kvCache "int8" ≠ "f32"/],
    [{ ...header, settings: { ...header.settings, attention: { kind: "delta" } } }, /attention/],
    [{ ...header, tasks: header.tasks.slice(1) }, /tasks piqa,lambada ≠ lambada/],
    [{ ...header, tasks: header.tasks.map((task) => ({ ...task, sha256: "cc" })) }, /data or rows of piqa/],
    [{ ...header, tasks: header.tasks.map((task) => ({ ...task, n: 2 })) }, /data or rows of piqa/],
    [{ ...header, shard: { part: 1, parts: 2 } }, /shard none ≠/],
  ];
  for (const [other, message] of others)
    assert.throws(
      () => new LogFile(file, other),
      (error: unknown) => error instanceof OptionError && message.test(error.message),
      String(message),
    );
  writeFileSync(join(folder, "text.txt"), "Dear diary");
  assert.throws(() => new LogFile(join(folder, "text.txt"), header), /not a log of deltallm eval/);
  assert.is(readFileSync(join(folder, "text.txt"), "utf8"), "Dear diary");
  assert.is(readFileSync(file, "utf8"), before);
});

test("damage before the last line is an error that names the line", () => {
  const damaged = `${logLine(header)}{"task":"piqa","ind\n${logLine(records[1] as EvalRecord)}`;
  assert.throws(
    () => parseLog(damaged, "l.jsonl"),
    (error: unknown) => error instanceof FormatError && /l\.jsonl, line 2/.test(error.message),
  );
  assert.throws(() => parseLog(`${logLine(header)}{"task":"boolq","index":0}\n`, "l"), /no task of the log/);
  const twice = logLine(header) + logLine(choice(0, 0, -1, -2)) + logLine(choice(0, 0, -1, -3));
  assert.throws(() => parseLog(twice, "l"), /Two different results of row 0 of piqa/);
});

test("merging shards gives the log of one run, in whatever order", () => {
  const shards = [1, 2, 3].map((part) => ({
    file: `${part}.jsonl`,
    log: {
      header: { ...header, shard: { part, parts: 3 } },
      records: records.filter((_, i) => i % 3 === part - 1).reverse(),
      runs: [run(part * 100, part / 4)],
    } satisfies EvalLog,
  }));
  const [a, b, c] = shards as [(typeof shards)[0], (typeof shards)[0], (typeof shards)[0]];
  const text = (log: EvalLog) =>
    [log.header, ...log.records, ...log.runs.map((each) => ({ run: each }))].map(logLine).join("");
  const expected = mergeLogs([a, b, c]);
  assert.equal(expected.records, records);
  assert.equal(expected.header, header);
  assert.is(expected.runs[0]?.attention.deltaSparsity, (100 * 0.25 + 200 * 0.5 + 300 * 0.75) / 600);
  for (const order of [
    [a, c, b],
    [b, a, c],
    [b, c, a],
    [c, a, b],
    [c, b, a],
    [c, b, a, b],
  ])
    if (order.length === 3) assert.is(text(mergeLogs(order)), text(expected));
    else assert.equal(mergeLogs(order).records, records);
  assert.equal(summarise(expected.records), summarise(records));
});

test("logs of different tasks can be merged, logs of different models or data not", () => {
  const part = (task: string): EvalLog => ({
    header: { ...header, tasks: header.tasks.filter((entry) => entry.task === task) },
    records: records.filter((record) => record.task === task),
    runs: [],
  });
  const [piqa, lambada] = [part("piqa"), part("lambada")];
  assert.equal(
    mergeLogs([
      { log: lambada, file: "l" },
      { log: piqa, file: "p" },
    ]),
    { header, records, runs: [] },
  );
  const other = { ...lambada, header: { ...lambada.header, model: { name: "n", fingerprint: "0" } } };
  assert.throws(
    () =>
      mergeLogs([
        { log: piqa, file: "p" },
        { log: other, file: "o" },
      ]),
    /do not belong together: model/,
  );
});

test("summaries", () => {
  const [piqa, lambada] = summarise(records);
  assert.is(piqa?.n, 4);
  assert.is(piqa?.measures.acc?.value, 3 / 4);
  // Per byte: −0.3, −0.222 | −0.2, −0.222 | −0.6, −0.25 | −0.8, −1.
  assert.is(piqa?.measures.acc_norm?.value, 2 / 4);
  assert.is(piqa?.measures.nll?.value, (1.5 + 2 + 2.25 + 4) / 4);
  assert.is(lambada?.measures.acc?.value, 2 / 3);
  assert.is(lambada?.measures.perplexity?.value, Math.exp(3.25 / 3));
  const [squad] = summarise([
    { task: "squad_v2", index: 0, id: "a", prediction: "x", exact: 1, f1: 1, answerable: true },
    { task: "squad_v2", index: 1, id: "b", prediction: "y", exact: 0, f1: 0.5, answerable: true },
    { task: "squad_v2", index: 2, id: "c", prediction: "z", exact: 0, f1: 0, answerable: false },
  ]);
  assert.is(squad?.measures.f1?.value, 50);
  assert.is(squad?.measures.exact_has_answer?.value, 50);
  assert.is(squad?.measures.f1_no_answer?.value, 0);
  const [text] = summarise([
    { task: "perplexity", index: 0, logprob: -20, tokens: 10 },
    { task: "perplexity", index: 1, logprob: -10, tokens: 5, cut: 0 },
  ]);
  assert.equal(text?.measures.nll, { value: 2, ci: [2, 2] });
  assert.is(text?.measures.perplexity?.value, Math.exp(2));
});

test("a run is compared with another one example by example", () => {
  const other = records.map((record) =>
    record.task === "piqa" && record.index < 3 ? choice(record.index, 0, -3, -1) : record,
  );
  const comparisons = compare({ header, records }, { header, records: [...other].reverse() });
  const acc = comparisons.find(({ task, measure }) => task === "piqa" && measure === "acc");
  assert.equal(
    { ...acc, ci: undefined },
    {
      task: "piqa",
      measure: "acc",
      n: 4,
      value: 0.75,
      other: 0.25,
      difference: 0.5,
      ci: undefined,
      onlyThis: 2,
      onlyOther: 0,
      p: 0.5,
    },
  );
  const nll = comparisons.find(({ task, measure }) => task === "lambada" && measure === "nll");
  assert.equal([nll?.difference, nll?.ci], [0, [0, 0]]);
  const changed = { ...header, tasks: header.tasks.map((task) => ({ ...task, sha256: "zz" })) };
  assert.throws(() => compare({ header, records }, { header: changed, records }), /different data for piqa/);
  assert.throws(() => compare({ header, records }, { header, records: [] }), /no example in common/);
});

test.run();
