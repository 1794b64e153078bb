import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { DownloadError, OptionError, SourceError } from "../errors.js";
import { hubSets } from "../eval/hub-sets.js";
import type { TaskEntry } from "../eval/log.js";
import { readParquet } from "../eval/parquet.js";
import { readExamples } from "../eval/read-examples.js";
import type { TaskExamples } from "../eval/run.js";
import { dataFiles, type Example, select, type TaskName, taskNames, type WindowExample } from "../eval/tasks.js";
import { datasetFiles } from "../hub/dataset.js";
import { hubSettings } from "../hub/settings.js";
import { openCache } from "../hub/source.js";
import type { Tokenizer } from "../types.js";
import { DownloadBar } from "./download-bar.js";
import type { EvalFlags } from "./eval-options.js";
import { hubOptions } from "./pull-first.js";
import type { Terminal } from "./terminal.js";

/** The data of one task, as read. */
export interface TaskData {
  task: TaskName;
  file: string;
  /** The text that perplexity is about; the other tasks have examples. */
  text: string;
  examples: readonly Example[];
  sha256: string;
}

/** Folders below `--data` in which files are looked for too. */
const folders = [".", "eval", "wikitext2"];

/**
 * Reads the data of the tasks asked for, or of all whose files are there. Without a folder they come from the hub.
 * @throws OptionError when there are none, SourceError when a file is missing, and what downloads throw
 */
export async function readTaskData(terminal: Terminal, flags: EvalFlags): Promise<TaskData[]> {
  if (flags.data === undefined && flags.tasks?.some((task) => task !== "perplexity" || flags.text === undefined)) {
    const local = flags.tasks.includes("perplexity") && flags.text !== undefined;
    const named = await readHubData(
      terminal,
      flags,
      flags.tasks.filter((task) => !(local && task === "perplexity")),
    );
    return local ? [...named, await readOne("perplexity", flags.text as string)] : named;
  }
  const found = new Map<TaskName, string>();
  for (const task of flags.tasks ?? taskNames) {
    const file = task === "perplexity" && flags.text !== undefined ? flags.text : findFile(flags.data, task);
    if (file !== undefined) found.set(task, file);
    else if (flags.tasks) {
      const names = dataFiles(task).join(" or ");
      throw new SourceError(`There is no ${names}`, { file: flags.data, key: "--data" });
    }
  }
  if (found.size === 0)
    throw new OptionError(
      "There are no data of any task",
      { key: "--data" },
      `Name tasks (--tasks winogrande,squad_v2): their data come from the hub; or give a folder with ${taskNames[0]}.jsonl or others`,
    );
  return Promise.all([...found].map(([task, file]) => readOne(task, file)));
}

/** The validation part of WikiText-2, to calibrate on: nothing of it is evaluated. */
export async function readWikiValidation(
  terminal: Terminal,
  flags: { offline?: boolean | undefined },
): Promise<string> {
  const [data] = await readHubData(terminal, flags, ["perplexity"], "validation");
  return (data as TaskData).text;
}

/** Data sets of the hub, kept in its cache. */
async function readHubData(
  terminal: Terminal,
  flags: { offline?: boolean | undefined },
  tasks: readonly TaskName[],
  split?: "validation",
): Promise<TaskData[]> {
  const settings = await hubSettings(hubOptions(flags), terminal.host.env);
  const cache = await openCache(settings);
  if (!cache) throw new SourceError("There is no cache here", { key: "--data" }, "Give a folder");
  const bar = new DownloadBar(terminal);
  const all: TaskData[] = [];
  try {
    for (const task of tasks) {
      const { repository, revision, files: pattern, columns, rows: published, toText } = hubSets[task];
      const wanted = split ? new RegExp(pattern.source.replace("test", split)) : pattern;
      const files = await terminal
        .interruptible((signal) =>
          datasetFiles(settings, cache, repository, revision, wanted, {
            signal,
            onProgress: (each) => bar.update(each),
          }),
        )
        .catch((error) => {
          throw needsData(task, error);
        });
      bar.clear();
      const rows: Record<string, unknown>[] = [];
      for (const { path, bytes } of files) rows.push(...(await readParquet(bytes, columns, `${repository}/${path}`)));
      const file = `hf:datasets/${repository}`;
      if (rows.length !== published && !split)
        await terminal.note(`note: ${repository} has ${rows.length} rows, the published set has ${published}`);
      const text = toText(rows, file);
      const examples = task === "perplexity" ? [] : readExamples(task, text, file);
      all.push({ task, file, text, examples, sha256: await sha256(new TextEncoder().encode(text)) });
    }
  } finally {
    bar.clear();
  }
  return all;
}

/** The data could not be had from the hub: a folder would do as well. */
function needsData(task: TaskName, error: unknown): unknown {
  if (!(error instanceof SourceError || error instanceof DownloadError)) return error;
  const hint = `Give a folder with ${dataFiles(task).join(" or ")} (--data), or try again`;
  const what = `${task} needs data. ${error.message}`;
  return error instanceof SourceError
    ? new SourceError(what, {}, hint, { cause: error })
    : new DownloadError(what, {}, hint, { cause: error });
}

function findFile(data: string | undefined, task: TaskName): string | undefined {
  if (data === undefined) return undefined;
  const places = folders.flatMap((folder) => dataFiles(task).map((name) => join(data, folder, name)));
  return places.find((place) => existsSync(place));
}

async function readOne(task: TaskName, file: string): Promise<TaskData> {
  const bytes = await readFile(file).catch((cause: Error) => {
    throw new SourceError(`The data cannot be read: ${cause.message}`, { file }, undefined, { cause });
  });
  const text = new TextDecoder().decode(bytes);
  const examples = task === "perplexity" ? [] : readExamples(task, text, file);
  return { task, file, text, examples, sha256: await sha256(bytes) };
}

/** The examples that the flags select, and what a log says about them. */
export function selectExamples(
  data: TaskData,
  flags: EvalFlags,
  tokenizer: Tokenizer,
  contextLength: number,
): { entry: TaskEntry; examples: TaskExamples } {
  const { task, text, sha256 } = data;
  const limit = flags.limit?.[task] ?? flags.limit?.all;
  const every = task === "squad_v2" ? flags.every : undefined;
  const all: readonly Example[] =
    task === "perplexity"
      ? windowsOf(Array.from(tokenizer.encode(text)), Math.min(flags.textWindow, contextLength))
      : data.examples;
  const examples = select(all, { limit, every });
  return {
    entry: { task, sha256, n: examples.length, ...(every && every > 1 && { every }) },
    examples: { task, examples },
  };
}

/** Windows that do not overlap; the last one may be shorter. */
function windowsOf(ids: readonly number[], size: number): WindowExample[] {
  const windows: WindowExample[] = [];
  for (let at = 0; at + 1 < ids.length; at += size)
    windows.push({ kind: "window", index: windows.length, ids: ids.slice(at, at + size) });
  return windows;
}

/** SHA-256 in hexadecimal digits. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
