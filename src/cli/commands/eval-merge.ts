import { existsSync, writeFileSync } from "node:fs";
import { OptionError, SourceError } from "../../errors.js";
import { logLine } from "../../eval/log.js";
import { readLog } from "../../eval/log-file.js";
import { mergeLogs } from "../../eval/merge.js";
import type { ReportFlags } from "../eval-options.js";
import { report } from "../eval-report.js";
import type { Terminal } from "../terminal.js";

/** `eval merge`: joins the logs of shards or of different tasks, and reports what they come to together. */
export async function mergeEvaluations(
  terminal: Terminal,
  files: readonly string[],
  flags: ReportFlags,
): Promise<void> {
  const merged = mergeLogs(files.map((file) => ({ log: readLog(file), file })));
  if (flags.out !== undefined) {
    if (existsSync(flags.out))
      throw new OptionError("This file is there already", { file: flags.out, key: "--out" }, "Give another name");
    const lines = [merged.header, ...merged.records, ...merged.runs.map((run) => ({ run }))];
    try {
      writeFileSync(flags.out, lines.map(logLine).join(""));
    } catch (cause) {
      const place = { file: flags.out };
      throw new SourceError(`The log cannot be written: ${(cause as Error).message}`, place, undefined, { cause });
    }
  }
  await report(terminal, merged, flags);
}
