import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { OptionError } from "../../errors.js";
import type { EvalLog, LogHeader, RunLine } from "../../eval/log.js";
import { LogFile } from "../../eval/log-file.js";
import { sortRecords } from "../../eval/merge.js";
import type { EvalRecord } from "../../eval/records.js";
import { runTasks } from "../../eval/run.js";
import { summariseSweep } from "../../eval/sweep.js";
import { fingerprint } from "../../formats/fingerprint.js";
import type { Model } from "../../types.js";
import { readTaskData, selectExamples, type TaskData } from "../eval-data.js";
import type { EvalFlags } from "../eval-options.js";
import { EvalProgress } from "../eval-progress.js";
import { report } from "../eval-report.js";
import { settingsOf } from "../eval-settings.js";
import { type Sweep, sweepPoints } from "../eval-sweep.js";
import { sweepReport } from "../eval-sweep-report.js";
import { loadOptions, withModel } from "../model.js";
import type { Terminal } from "../terminal.js";

/** Longest context when none is asked for, as in `loadModel`. */
const DEFAULT_CONTEXT = 8192;

/** `eval`: runs tasks on a model and reports what they come to. */
export async function evaluateModel(terminal: Terminal, given: EvalFlags): Promise<void> {
  const flags = { ...given, tasks: given.tasks ?? given.task };
  const data = await readTaskData(terminal, flags);
  if (flags.sweep) await runSweep(terminal, flags, flags.sweep, data);
  else await report(terminal, await runOnce(terminal, flags, data), flags);
}

/** Runs full attention and every point; `--out` is a folder with one log each, the report, and the same as JSON. */
async function runSweep(terminal: Terminal, flags: EvalFlags, sweep: Sweep, data: readonly TaskData[]): Promise<void> {
  if (flags.compare !== undefined || flags.shard)
    throw new OptionError("--sweep goes with neither --compare nor --shard", { key: "--sweep" });
  const { out: folder } = flags;
  if (folder !== undefined) mkdirSync(folder, { recursive: true });
  const run = async (name: string, more: Partial<EvalFlags>) => {
    await terminal.note(name);
    const out = folder === undefined ? undefined : join(folder, `${name.replaceAll(" ", "_")}.jsonl`);
    return { name, log: await runOnce(terminal, { ...flags, ...more, out }, data) };
  };
  const full = await run("full", {
    attention: "full",
    basis: undefined,
    thresholds: undefined,
    valueCutoff: undefined,
  });
  const rows = [];
  for (const point of sweepPoints(sweep)) rows.push(await run(point.name, point.flags));
  const text = sweepReport(full.log, rows, { seed: flags.seed });
  const summary = summariseSweep(full.log, rows, { seed: flags.seed });
  if (folder !== undefined) {
    writeFileSync(join(folder, "report.md"), text);
    writeFileSync(join(folder, "sweep.json"), `${JSON.stringify(summary, undefined, 1)}\n`);
  }
  if (flags.json) await terminal.json(summary);
  else await terminal.write(text);
}

/** Loads the model, runs what is not done yet, and returns everything that is. */
export async function runOnce(terminal: Terminal, flags: EvalFlags, data: readonly TaskData[]): Promise<EvalLog> {
  const options = await loadOptions(terminal, flags);
  return withModel(terminal, flags.model, options, async (model) => {
    const contextLength = flags.ctx ?? Math.min(model.config.contextLength, DEFAULT_CONTEXT);
    const settings = await settingsOf(options, contextLength);
    if (data.some(({ task }) => task === "perplexity")) settings.textWindow = Math.min(flags.textWindow, contextLength);
    return run(terminal, flags, model, data, { settings, contextLength });
  });
}

async function run(
  terminal: Terminal,
  flags: EvalFlags,
  model: Model,
  data: readonly TaskData[],
  { settings, contextLength }: { settings: Record<string, unknown>; contextLength: number },
): Promise<EvalLog> {
  const selected = data.map((each) => selectExamples(each, flags, model.tokenizer, contextLength));
  const header: LogHeader = {
    format: "deltallm-eval",
    version: 1,
    model: { name: model.config.name, fingerprint: await fingerprint(model.file) },
    settings,
    tasks: selected.map(({ entry }) => entry),
    ...(flags.shard && { shard: flags.shard }),
  };
  const log = flags.out === undefined ? undefined : new LogFile(flags.out, header);
  const earlier = log?.earlier?.records ?? [];
  const records: EvalRecord[] = [...earlier];
  const runs: RunLine[] = [...(log?.earlier?.runs ?? [])];
  if (earlier.length) await terminal.note(`${flags.out}: ${earlier.length} examples are done already`);
  const progress = new EvalProgress(terminal);
  try {
    await terminal.interruptible((signal) =>
      runTasks(
        model,
        selected.map(({ examples }) => examples),
        {
          contextLength,
          shard: flags.shard,
          earlier,
          signal,
          onRecord(record) {
            records.push(record);
            log?.add(record);
          },
          onProgress: (state) => progress.update(state),
        },
      ),
    );
  } catch (error) {
    progress.clear();
    // The reason may be that stderr has gone.
    if (log)
      await terminal
        .note(`${records.length} examples are in ${flags.out}; the same command goes on`)
        .catch(() => undefined);
    throw error;
  } finally {
    progress.clear();
    const examples = records.length - earlier.length;
    if (examples > 0) {
      const { prefill, decode, attention: stats } = model.stats();
      const { heads: _, ...attention } = stats;
      const speed = {
        prefill: { tokens: prefill.tokens, ms: Math.round(prefill.ms) },
        decode: { tokens: decode.tokens, ms: Math.round(decode.ms) },
      };
      const run: RunLine = { examples, computed: prefill.tokens + decode.tokens, attention, speed };
      runs.push(run);
      log?.add({ run });
    }
  }
  return { header, records: sortRecords(records), runs };
}
