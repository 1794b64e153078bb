import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../../../dist/cli/main.js", import.meta.url));

export interface ProcessResult {
  /** Undefined when it was killed. */
  code: number | undefined;
  stdout: string;
  stderr: string;
}

/** Runs the command line in a process of its own. */
export function startCommand(
  args: string[],
  env: Record<string, string>,
  /** Shell words before the command: `ulimit -f 100;`. */
  before?: string,
): { child: ChildProcess; ended: Promise<ProcessResult> } {
  const words = [process.execPath, main, ...args];
  const child = before
    ? spawn("sh", ["-c", `${before} exec "$@"`, "sh", ...words], { env: { ...process.env, ...env } })
    : spawn(words[0] as string, words.slice(1), { env: { ...process.env, ...env } });
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (text) => {
    stdout += text;
  });
  child.stderr?.on("data", (text) => {
    stderr += text;
  });
  const ended = new Promise<ProcessResult>((resolve) => {
    child.on("close", (code) => resolve({ code: code ?? undefined, stdout, stderr }));
  });
  return { child, ended };
}

/** Bytes that look random, the same every time. */
export function testBytes(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0, state = seed; i < length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes[i] = state >>> 24;
  }
  bytes.set(new TextEncoder().encode("GGUF"));
  return bytes;
}
