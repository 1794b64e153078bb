import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { resolve } from "node:path";
import { type AttentionOptions, type Calibration, type LoadOptions, loadModel, type Model } from "#src/index.js";
import type { SelectionStats } from "#src/kv/counters.js";

/** SmolLM2-135M-Instruct (Q4_1), WikiText-2 test to measure on, WikiText-2 valid to calibrate on. */
export interface Files {
  model: string;
  text: string;
  calibrationText: string;
}

/** Flags for the files; without them they are looked for in the folder DELTALLM_SHARED. */
export const fileFlags = {
  model: { type: "string", says: "FILE default: SmolLM2-135M-Instruct.Q4_1.gguf in DELTALLM_SHARED/models" },
  text: { type: "string", says: "FILE default: the test split of WikiText-2 in DELTALLM_SHARED/data" },
  "calibration-text": { type: "string", says: "FILE default: the validation split of WikiText-2 there" },
} as const;

/** The files; ends the process with 2 when one is not there. */
export function filesOf(flags: { model?: string; text?: string; "calibration-text"?: string }): Files {
  const shared = process.env.DELTALLM_SHARED ?? resolve(import.meta.dirname, "../../../../shared");
  const files = {
    model: flags.model ?? resolve(shared, "models/SmolLM2-135M-Instruct.Q4_1.gguf"),
    text: flags.text ?? resolve(shared, "data/wikitext2/wiki.test.raw.txt"),
    calibrationText: flags["calibration-text"] ?? resolve(shared, "data/wikitext2/wiki.valid.raw.txt"),
  };
  const missing = Object.entries(files).filter(([, path]) => !existsSync(path));
  for (const [what, path] of missing) console.error(`MISSING: ${what}: ${path} is not there`);
  if (missing.length) {
    console.error("Give the files with --model, --text and --calibration-text, or their folder with DELTALLM_SHARED.");
    process.exit(2);
  }
  return files;
}

export const load = (files: Files, options: LoadOptions): Promise<Model> => loadModel(files.model, options);

/** Ids of the beginning of a file. */
export function idsOf(model: Model, file: string, tokens: number): number[] {
  const ids = Array.from(model.tokenizer.encode(readFileSync(file, "utf8").slice(0, tokens * 12)));
  if (ids.length < tokens) throw new Error(`${file} has fewer than ${tokens} tokens`);
  return ids.slice(0, tokens);
}

export const note = (line: string): unknown =>
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : `${line}\n`);

/** Makes a calibration on one or more windows; from a file, if it is there, else written to it. */
export async function calibrated(
  files: Files,
  { windowTokens, windows, file }: { windowTokens: number; windows: number; file?: string | undefined },
): Promise<Calibration> {
  if (file !== undefined && existsSync(file)) return JSON.parse(readFileSync(file, "utf8")) as Calibration;
  await using model = await load(files, { contextLength: 8192 });
  let last = -1;
  const made = await model.calibrate(idsOf(model, files.calibrationText, windowTokens * windows), {
    windowTokens,
    windows,
    onProgress(fraction) {
      const percent = Math.floor(fraction * 10) * 10;
      if (percent !== last) note(`calibrating on windows of ${windowTokens} tokens: ${percent} %`);
      last = percent;
    },
  });
  if (file !== undefined) writeFileSync(file, JSON.stringify(made));
  return made;
}

/** Settings that tables compare, under the names the tables give them. */
export const settings: Record<string, AttentionOptions> = {
  "full attention": {},
  "element grain, 60 %": { kind: "delta", basis: "score", targetSparsity: 0.6 },
  "chunk grain, 60 %, ε = 0.001": {
    kind: "delta",
    basis: "score",
    grain: "chunk",
    targetSparsity: 0.6,
    valueCutoff: 0.001,
  },
  "row grain, 60 %": { kind: "delta", basis: "score", grain: "row", targetSparsity: 0.6 },
  "`fast`": { preset: "fast" },
  "`fast`, `select: 0.02`": { preset: "fast", select: 0.02 },
  "`fast`, `select: 0.01`": { preset: "fast", select: 0.01 },
  "`small`": { preset: "small" },
  "chunk grain, 30 %, `select: 0.01`": {
    kind: "delta",
    basis: "score",
    grain: "chunk",
    targetSparsity: 0.3,
    select: 0.01,
    valueCutoff: 0.0005,
  },
};

/** The settings of these names, the calibration added where one is needed. */
export function chosen(names: readonly string[], calibration: Calibration): [string, AttentionOptions][] {
  return names.map((name) => {
    const attention = settings[name];
    if (!attention) throw new Error(`there is no setting ${name}`);
    return [name, attention.basis || attention.preset ? { ...attention, calibration } : attention];
  });
}

/** Share of the groups that was completed since `before`; undefined without selection. */
export function completedSince(model: Model, before: SelectionStats | undefined): number | undefined {
  const { selected } = model.stats().attention;
  if (!selected) return undefined;
  const groups = selected.groups - (before?.groups ?? 0);
  return groups ? (selected.completedGroups - (before?.completedGroups ?? 0)) / groups : 1;
}

/** Date, runtime and machine. */
export function where(): string {
  const date = new Date().toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric" });
  return `${date}, Node ${process.versions.node}, ${cpus()[0]?.model.trim() || "unknown processor"}, ${cpus().length} cores`;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? (sorted[half] as number) : ((sorted[half - 1] as number) + (sorted[half] as number)) / 2;
}
