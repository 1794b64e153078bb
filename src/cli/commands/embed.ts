import type { Pooling } from "../../config.js";
import { OptionError } from "../../errors.js";
import { readStdin, readText } from "../input.js";
import { loadOptions, withModel } from "../model.js";
import type { ModelFlags } from "../options.js";
import { ProgressBar } from "../progress.js";
import type { Terminal } from "../terminal.js";

export interface EmbedFlags extends ModelFlags {
  file?: string;
  pooling?: Pooling;
}

/** `embed`: texts to vectors of length 1, one line of numbers per text. */
export async function embed(terminal: Terminal, given: readonly string[], flags: EmbedFlags): Promise<void> {
  const texts = given.length > 0 ? given : lines(await textOf(terminal, flags.file));
  if (texts.length === 0) throw new OptionError("There is no text", { file: flags.file }, "Give one text per line");
  await withModel(terminal, flags.model, await loadOptions(terminal, flags), async (model) => {
    const bar = new ProgressBar(terminal);
    const { pooling } = flags;
    const { embeddings, tokens } = await terminal
      .interruptible((signal) =>
        model.embed(texts, { pooling, signal, onProgress: (progress) => bar.update(progress) }),
      )
      .finally(() => bar.clear());
    if (flags.json) await terminal.json({ embeddings: embeddings.map((vector) => Array.from(vector)), tokens });
    else for (const vector of embeddings) await terminal.line(Array.from(vector).join(" "));
  });
}

function textOf(terminal: Terminal, file: string | undefined): Promise<string> {
  if (file !== undefined) return readText(terminal, file);
  if (terminal.host.stdin.isTTY)
    throw new OptionError("There is no text", { key: "--file" }, "Give texts, --file, or pipe them in");
  return readStdin(terminal);
}

/** Lines that are not empty. */
function lines(text: string): string[] {
  return text.split(/\r?\n/).filter((line) => line.trim() !== "");
}
