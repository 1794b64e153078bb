// Delta attention against the reference table of a float implementation: perplexity of SmolLM2-135M-Instruct (Q4_1) on
// WikiText-2 test, calibrated on WikiText-2 valid, through the public interface.
//   npm run reference-table -- --help
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import {
  type AttentionOptions,
  type AttentionStats,
  type Calibration,
  type LoadOptions,
  loadModel,
} from "#src/index.js";
import { readFlags, wholeFlag } from "./harness/flags.js";
import { fileFlags, filesOf, note } from "./measure/smollm2.js";

const { values: flags } = readFlags("npm run reference-table -- [--all] [--rows NAMES] [--json]", {
  all: { type: "boolean", default: false, says: "all rows, not only the four at 60 %" },
  rows: { type: "string", says: "NAMES rows whose names begin so: element/score,chunk/raw" },
  json: { type: "boolean", default: false, says: "print one JSON object" },
  ...fileFlags,
  calibration: { type: "string", says: "FILE read the calibration, or write it where there is none yet" },
  windows: { type: "string", default: "3", says: "N windows of 2,048 tokens; default 3" },
  window: { type: "string", default: "102", says: "N keys around a query that are exact; default 102" },
  threads: { type: "string", default: "1", says: "N threads; default 1" },
});
const [windows, threads] = [wholeFlag("windows", flags.windows), wholeFlag("threads", flags.threads)];

const files = filesOf(flags);

const WINDOW = 2048;
const CALIBRATION_TOKENS = 4096;
const TOLERANCE = 0.15;

interface Row {
  name: string;
  /** Perplexity of the reference, float32. */
  reference?: number;
  attention: AttentionOptions;
  kvCache?: "f32";
  /** Only with --all. */
  extra?: boolean;
}

const delta = (grain: "element" | "chunk", basis: "raw" | "score", targetSparsity: number): AttentionOptions => ({
  kind: "delta",
  grain,
  basis,
  targetSparsity,
  // The reference uses 5 % of its windows of 2,048 tokens at every position.
  window: wholeFlag("window", flags.window),
  windowScale: 0,
});

const table: Row[] = [
  { name: "element/score 60 %", reference: 22.873, attention: delta("element", "score", 0.6) },
  { name: "element/raw 60 %", reference: 23.164, attention: delta("element", "raw", 0.6) },
  { name: "chunk/score 60 %", reference: 23.561, attention: delta("chunk", "score", 0.6) },
  { name: "chunk/raw 60 %", reference: 25.321, attention: delta("chunk", "raw", 0.6) },
  { name: "full, f32 cache", reference: 22.899, attention: {}, kvCache: "f32", extra: true },
  { name: "full, int8 cache", reference: 22.899, attention: {}, extra: true },
  { name: "full, ε 0.001", reference: 22.894, attention: { valueCutoff: 0.001 }, extra: true },
  {
    name: "element/score 60 %, ε 0.001",
    attention: { ...delta("element", "score", 0.6), valueCutoff: 0.001 },
    extra: true,
  },
  { name: "element/score 30 %", attention: delta("element", "score", 0.3), extra: true },
  { name: "element/score 75 %", reference: 23.364, attention: delta("element", "score", 0.75), extra: true },
  { name: "chunk/score 30 %", reference: 22.956, attention: delta("chunk", "score", 0.3), extra: true },
];

const wanted = flags.rows?.split(",");
const rows = table.filter(({ name, extra }) =>
  wanted ? wanted.some((part) => name.startsWith(part)) : flags.all || !extra,
);
const load = (options: LoadOptions) => loadModel(files.model, { contextLength: WINDOW, threads, ...options });

async function calibration(): Promise<Calibration> {
  if (flags.calibration !== undefined && existsSync(flags.calibration))
    return JSON.parse(readFileSync(flags.calibration, "utf8")) as Calibration;
  await using model = await load({});
  const ids = Array.from(model.tokenizer.encode(readFileSync(files.calibrationText, "utf8").slice(0, 60_000)));
  let last = -1;
  const made = await model.calibrate(ids.slice(0, CALIBRATION_TOKENS), {
    onProgress: (fraction) => {
      const percent = Math.floor(fraction * 20) * 5;
      if (percent !== last) note(`calibrating ${percent} %`);
      last = percent;
    },
  });
  if (flags.calibration) writeFileSync(flags.calibration, JSON.stringify(made));
  return made;
}

/** Bytes of the keys over those of full int8 keys; values are always kept whole. */
const keyShare = ({ kvBytes, kvBytesFull }: AttentionStats) => (kvBytes - kvBytesFull / 2) / (kvBytesFull / 2);

const needsCalibration = rows.some(({ attention }) => attention.kind === "delta");
const calibrated = needsCalibration ? await calibration() : undefined;
const results = [];
for (const row of rows) {
  const { attention, kvCache } = row;
  await using model = await load({
    attention: attention.kind === "delta" ? { ...attention, calibration: calibrated } : attention,
    ...(kvCache ? { kvCache } : {}),
  });
  const ids = Array.from(model.tokenizer.encode(readFileSync(files.text, "utf8").slice(0, 30_000 * windows)));
  let [sum, count] = [0, 0];
  for (let window = 0; window < windows; window++) {
    note(`${row.name}: window ${window + 1} of ${windows}`);
    const part = ids.slice(window * WINDOW, (window + 1) * WINDOW);
    if (part.length < WINDOW) throw new Error(`The text has fewer than ${window + 1} windows of ${WINDOW} tokens`);
    const logprobs = await model.scoreWindow(part);
    for (const x of logprobs) sum -= x;
    count += logprobs.length;
  }
  const stats = model.stats().attention;
  const perplexity = Math.exp(sum / count);
  const difference = row.reference === undefined ? undefined : perplexity - row.reference;
  results.push({
    row: row.name,
    sparsity: stats.deltaSparsity,
    perplexity,
    reference: row.reference,
    difference,
    within: difference === undefined ? undefined : Math.abs(difference) <= TOLERANCE,
    keyBytes: kvCache ? undefined : keyShare(stats),
    bytesRead: kvCache ? undefined : stats.bytesRead,
    skippedMacs: kvCache ? undefined : stats.skippedMacs,
    attentionSparsity: stats.attentionSparsity,
  });
}
if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");

if (flags.json) console.log(JSON.stringify({ windows: windows, tolerance: TOLERANCE, rows: results }, null, 2));
else {
  const number = (x: number | undefined, digits: number) => (x === undefined ? "–" : x.toFixed(digits));
  const verdict = (difference: number | undefined) => {
    if (difference === undefined) return "–";
    return difference > TOLERANCE ? "NO" : difference < -TOLERANCE ? "better" : "yes";
  };
  console.log(
    "| attention | sparsity | perplexity | reference | difference | within ±0.15 | K of int8 K | K and V read |",
  );
  console.log("|---|---|---|---|---|---|---|---|");
  for (const r of results)
    console.log(
      `| ${r.row} | ${number(r.sparsity, 3)} | ${number(r.perplexity, 3)} | ${number(r.reference, 3)} | ${
        r.difference === undefined ? "–" : `${r.difference < 0 ? "−" : "+"}${Math.abs(r.difference).toFixed(3)}`
      } | ${verdict(r.difference)} | ${number(r.keyBytes, 3)} | ${number(r.bytesRead, 3)} |`,
    );
}
