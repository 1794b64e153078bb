import { OptionError } from "../../errors.js";
import { formatTable } from "../format.js";
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

/** `tokenize`: text → ids, on a terminal with the pieces. Reads the tokenizer only, not the weights. */
export async function tokenize(terminal: Terminal, given: string | undefined, flags: TokenizeFlags): Promise<void> {
  if (given !== undefined && flags.text !== undefined)
    throw new OptionError("The text is given twice", { key: "--text" }, "Give it once");
  const text = await inputText(terminal, { ...flags, ...(given === undefined ? {} : { text: given }) });
  const { ids, pieces } = await terminal.interruptible(async (signal) => {
    const file = await terminal.host.openModel(flags.model, { signal, hub: hubOptions(flags) });
    try {
      const tokenizer = await terminal.host.createTokenizer(file.tokenizer);
      const ids = Array.from(tokenizer.encode(text, { special: flags.special }));
      return { ids, pieces: ids.map((id) => tokenizer.decode([id])) };
    } finally {
      await file.close();
    }
  });
  if (flags.json) return terminal.json(ids);
  // Programs that read the ids get nothing else.
  if (!terminal.host.stdout.isTTY) return terminal.line(ids.join(" "));
  const rows = ids.map((id, i) => [String(id), JSON.stringify(pieces[i])]);
  await terminal.line(formatTable([...rows, ["", `${ids.length} tokens`]], [0]));
}

/** The text of `--text`, `--file` or stdin. */
async function inputText(terminal: Terminal, { text, file }: TokenizeFlags): Promise<string> {
  if (text !== undefined && file !== undefined)
    throw new OptionError("--text and --file exclude each other", { key: "--file" }, "Give one of them");
  if (text !== undefined) return text;
  if (file !== undefined) return readText(terminal, file);
  if (terminal.host.stdin.isTTY)
    throw new OptionError("There is no text", {}, 'Give one: deltallm tokenize "Hello", or --file, or pipe it in');
  return readStdin(terminal);
}
