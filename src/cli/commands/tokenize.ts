import { OptionError } from "../../errors.js";
import { readStdin, readText } from "../input.js";
import { hubOptions } from "../pull-first.js";
import type { Terminal } from "../terminal.js";

export interface TokenizeFlags {
  model: string;
  text?: string;
  file?: string;
  special: boolean;
  offline?: boolean;
  json?: boolean;
}

/** `tokenize`: text → ids. Reads the tokenizer only, not the weights. */
export async function tokenize(terminal: Terminal, flags: TokenizeFlags): Promise<void> {
  const text = await inputText(terminal, flags);
  const ids = await terminal.interruptible(async (signal) => {
    const file = await terminal.host.openModel(flags.model, { signal, hub: hubOptions(flags) });
    try {
      const tokenizer = await terminal.host.createTokenizer(file.tokenizer);
      return Array.from(tokenizer.encode(text, { special: flags.special }));
    } finally {
      await file.close();
    }
  });
  if (flags.json) await terminal.json(ids);
  else await terminal.line(ids.join(" "));
}

/** The text of `--text`, `--file` or stdin. */
async function inputText(terminal: Terminal, { text, file }: TokenizeFlags): Promise<string> {
  if (text !== undefined && file !== undefined)
    throw new OptionError("--text and --file exclude each other", { key: "--file" }, "Give one of them");
  if (text !== undefined) return text;
  if (file !== undefined) return readText(terminal, file);
  if (terminal.host.stdin.isTTY) throw new OptionError("There is no text", {}, "Give --text or --file, or pipe it in");
  return readStdin(terminal);
}
