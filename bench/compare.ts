// npm run bench:compare -- BEFORE.json[,MORE.json] AFTER.json[,MORE.json]; --help shows the options
// Exit code: 0 nothing is slower, 1 something is, 2 the files cannot be compared.
import { readFileSync } from "node:fs";
import { compareRuns, comparisonTable, joinRuns, relativeRun } from "./harness/compare.js";
import { readFlags } from "./harness/flags.js";
import type { Run } from "./harness/suite.js";

class Unusable extends Error {}

function read(list: string): Run {
  const runs = list.split(",").map((file) => {
    let run: Run;
    try {
      run = JSON.parse(readFileSync(file, "utf8")) as Run;
    } catch (cause) {
      throw new Unusable(`${file}: ${(cause as Error).message}`, { cause });
    }
    if (run.format !== "deltallm-bench" || run.version !== 1) throw new Unusable(`${file} was not written by --json`);
    return run;
  });
  return joinRuns(runs);
}

try {
  const { values: flags, positionals } = readFlags("npm run bench:compare -- BEFORE.json[,…] AFTER.json[,…]", {
    threshold: { type: "string", default: "0.05", says: "SHARE least difference that counts; default 0.05" },
    alpha: { type: "string", default: "0.01", says: "P largest p of the test; default 0.01" },
    all: { type: "boolean", default: false, says: "print what did not change, too" },
    relative: { type: "boolean", default: false, says: "times in units of the first case of the same group" },
  });
  if (positionals.length !== 2) throw new Unusable("Give two files, or two lists of files separated by commas");
  const [threshold, alpha] = [Number(flags.threshold), Number(flags.alpha)];
  if (!(threshold >= 0 && alpha > 0 && alpha < 1)) throw new Unusable("--threshold and --alpha must be shares");
  const [before, after] = positionals.map(read).map((run) => (flags.relative ? relativeRun(run) : run)) as [Run, Run];
  const comparison = compareRuns(before, after, { threshold, alpha });
  if (comparison.cases.length === 0) throw new Unusable("The files have no case in common");
  console.log(
    comparisonTable(before, after, comparison, { threshold, alpha, all: flags.all, relative: flags.relative }),
  );
  process.exitCode = comparison.cases.some(({ verdict }) => verdict === "slower") ? 1 : 0;
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 2;
}
