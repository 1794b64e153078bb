import { spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Waits for output, then resizes, then types. */
export interface Step {
  wait?: string;
  /** Seconds. */
  pause?: number;
  resize?: [columns: number, rows: number];
  send?: string;
  signal?: number;
}

export interface PtyResult {
  output: string;
  code: number;
  /** What was waited for in vain. */
  missing: string;
}

/** The folder of the project: this file runs from build/test/helpers. */
const root = fileURLToPath(new URL("../../../", import.meta.url));
const script = join(root, "test/helpers/drive-terminal.py");

/** Whether pseudo-terminals can be driven here: Python does it, on systems that have them. */
export const hasPty = process.platform !== "win32" && spawnSync("python3", ["-c", "import pty"]).status === 0;
if (!hasPty) console.error("SKIPPED: the terminal chat is not tried in a pseudo-terminal, which takes python3");

/** A fresh folder for what the command remembers. */
export const freshHome = (): string => mkdtempSync(join(tmpdir(), "deltallm-home-"));

/** Runs the command line in a pseudo-terminal. */
export function runInPty(
  args: string[],
  steps: Step[],
  { columns = 80, rows = 24, home = freshHome(), runtime = [process.execPath], timeout = 30 } = {},
): PtyResult {
  const main = join(root, "dist/cli/main.js");
  const plan = {
    command: [...runtime, main, ...args],
    env: { HOME: home, XDG_STATE_HOME: "", TERM: "xterm", NO_COLOR: "1" },
    columns,
    rows,
    timeout,
    steps,
  };
  const { stdout, stderr } = spawnSync("python3", [script], {
    input: JSON.stringify(plan),
    maxBuffer: 1 << 28,
  });
  if (stdout.length === 0) throw new Error(stderr.toString());
  return JSON.parse(stdout.toString()) as PtyResult;
}
