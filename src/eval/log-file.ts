import { appendFileSync, existsSync, readFileSync, truncateSync } from "node:fs";
import { FormatError, OptionError, SourceError } from "../errors.js";
import { type EvalLog, headerDifferences, type LogHeader, logLine, parseLog, type RunLine } from "./log.js";
import type { EvalRecord } from "./records.js";

/** A log on disk that is only ever added to, one whole line at a time. */
export class LogFile {
  readonly #file: string;
  /** Records that were there when it was opened. */
  readonly earlier: EvalLog | undefined;

  /**
   * Opens a log, or begins one. A torn last line of a killed process is cut off.
   * @throws OptionError when the log there is of another model, other settings, data, rows or shard
   * @throws FormatError when it is not a log; SourceError when it cannot be written
   */
  constructor(file: string, header: LogHeader) {
    this.#file = file;
    const bytes = existsSync(file) ? readBytes(file) : new Uint8Array();
    this.earlier = parseLog(new TextDecoder().decode(bytes), file);
    if (!this.earlier) {
      this.#attempt(() => {
        if (bytes.length) truncateSync(file, 0);
        appendFileSync(file, logLine(header));
      });
      return;
    }
    const differences = headerDifferences(this.earlier.header, header);
    const [tasks, earlierTasks] = [header, this.earlier.header].map((each) =>
      each.tasks.map(({ task }) => task).join(),
    );
    if (tasks !== earlierTasks) differences.push(`tasks ${earlierTasks} ≠ ${tasks}`);
    const [shard, earlierShard] = [header, this.earlier.header].map((each) => JSON.stringify(each.shard) ?? "none");
    if (shard !== earlierShard) differences.push(`shard ${earlierShard} ≠ ${shard}`);
    if (differences.length)
      throw new OptionError(
        `This log is of another run: ${differences.join("; ")}`,
        { file, key: "--out" },
        "Give another --out, or the options of that run",
      );
    const complete = bytes.lastIndexOf(10) + 1;
    if (complete < bytes.length) this.#attempt(() => truncateSync(file, complete));
  }

  add(line: EvalRecord | { run: RunLine }): void {
    this.#attempt(() => appendFileSync(this.#file, logLine(line)));
  }

  #attempt(write: () => void): void {
    try {
      write();
    } catch (cause) {
      throw new SourceError(`The log cannot be written: ${(cause as Error).message}`, { file: this.#file }, undefined, {
        cause,
      });
    }
  }
}

/**
 * Reads a log from disk.
 * @throws SourceError when it cannot be read, FormatError when it is not a log
 */
export function readLog(file: string): EvalLog {
  const log = parseLog(new TextDecoder().decode(readBytes(file)), file);
  if (!log) throw new FormatError("This log is empty", { file });
  return log;
}

function readBytes(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new SourceError(`The log cannot be read: ${(cause as Error).message}`, { file }, undefined, { cause });
  }
}
