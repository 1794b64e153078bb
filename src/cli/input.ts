import { SourceError } from "../errors.js";
import type { Terminal } from "./terminal.js";

/**
 * A text file as UTF-8; `-` is stdin.
 * @throws SourceError when it cannot be read
 */
export async function readText(terminal: Terminal, file: string): Promise<string> {
  if (file === "-") return readStdin(terminal);
  const { readFile } = await import("node:fs/promises");
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new SourceError(`The file cannot be read: ${(cause as Error).message}`, { file }, undefined, { cause });
  }
}

/** All of stdin as UTF-8. */
export async function readStdin(terminal: Terminal): Promise<string> {
  return terminal.interruptible(async (signal) => {
    const { stdin } = terminal.host;
    const stop = () => stdin.destroy();
    signal.addEventListener("abort", stop, { once: true });
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of stdin)
      text += typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
    signal.removeEventListener("abort", stop);
    signal.throwIfAborted();
    return text + decoder.decode();
  });
}
