import { OptionError } from "../../errors.js";
import { attentionJson, formatAttention, formatStats, formatTable } from "../format.js";
import { readStdin, readText } from "../input.js";
import { loadOptions, withModel } from "../model.js";
import type { ModelFlags } from "../options.js";
import { ProgressBar } from "../progress.js";
import type { Terminal } from "../terminal.js";

export interface ScoreFlags extends ModelFlags {
  ctx?: number;
  file?: string;
  windows?: number;
}

const DEFAULT_WINDOW = 2048;

/**
 * `score`: likelihood of a text, cut into windows of `ctx` tokens that do not overlap (the last one may be shorter).
 * The first token of each window is context only. No token is put in front.
 */
export async function score(terminal: Terminal, flags: ScoreFlags): Promise<void> {
  if (flags.file === undefined && terminal.host.stdin.isTTY)
    throw new OptionError("There is no text", { key: "--file" }, "Give --file, or pipe it in");
  const text = flags.file === undefined ? await readStdin(terminal) : await readText(terminal, flags.file);
  await withModel(terminal, flags.model, await loadOptions(terminal, flags), async (model) => {
    const ids = Array.from(model.tokenizer.encode(text));
    const windows: number[][] = [];
    const size = flags.ctx ?? Math.min(DEFAULT_WINDOW, model.config.contextLength);
    for (let start = 0; start + 1 < ids.length && windows.length < (flags.windows ?? Infinity); start += size)
      windows.push(ids.slice(start, start + size));
    let tokens = 0;
    let sum = 0;
    const bar = new ProgressBar(terminal);
    try {
      await terminal.interruptible(async (signal) => {
        for (const [index, window] of windows.entries()) {
          if (window.length < 2) continue;
          const logprobs = await model.scoreWindow(window, {
            signal,
            onProgress: ({ fraction }) =>
              bar.update({ phase: "prefill", fraction: (index + fraction) / windows.length, bytes: 0 }),
          });
          for (const logprob of logprobs) sum -= logprob;
          tokens += logprobs.length;
        }
      });
    } finally {
      bar.clear();
    }
    if (tokens === 0)
      throw new OptionError(
        "The text is too short",
        { file: flags.file },
        "Two tokens are the least that can be scored",
      );
    const nll = sum / tokens;
    const perplexity = Math.exp(nll);
    const stats = model.stats();
    if (flags.json)
      await terminal.json({ tokens, nll, perplexity, attention: attentionJson(stats.attention, flags.stats) });
    else
      await terminal.line(
        formatTable([
          ["tokens", String(tokens)],
          ["nll", `${nll.toFixed(5)} per token`],
          ["perplexity", perplexity.toFixed(4)],
          ["attention", formatAttention(stats.attention)],
        ]),
      );
    if (flags.stats) await terminal.note(formatStats(stats));
  });
}
