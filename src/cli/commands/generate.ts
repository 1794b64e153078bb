import { OptionError } from "../../errors.js";
import { resolveLimits } from "../../generate/options.js";
import { resolveSampling } from "../../generate/sampling-options.js";
import { checkComplete, constraintOptions } from "../constraint.js";
import { attentionJson, formatStats } from "../format.js";
import { readStdin } from "../input.js";
import { loadOptions, withModel } from "../model.js";
import { generateOptions, type SamplingFlags } from "../options.js";
import { ProgressBar } from "../progress.js";
import { OutputClosed, type Terminal } from "../terminal.js";

/** `generate [prompt]`: completes a text. */
export async function generate(terminal: Terminal, prompt: string | undefined, flags: SamplingFlags): Promise<void> {
  // Options are looked at before a model is loaded for minutes.
  const options = { ...generateOptions(flags), ...(await constraintOptions(terminal, flags)) };
  resolveLimits(options);
  const { seed } = resolveSampling(options);
  const text = prompt === undefined || prompt === "-" ? await promptFromStdin(terminal) : prompt;
  await withModel(terminal, flags.model, await loadOptions(terminal, flags), async (model) => {
    const tokens: number[] = [];
    let written = "";
    let failure: unknown;
    let finishReason: string | undefined;
    const bar = new ProgressBar(terminal);
    if (!flags.json && terminal.host.stdout.isTTY) await terminal.write(terminal.style("bold", text));
    try {
      await terminal.interruptible(async (signal) => {
        const pieces = model.generate(text, {
          ...options,
          seed,
          signal,
          onProgress: (progress) => bar.update(progress),
        });
        for await (const piece of pieces) {
          bar.clear();
          if (piece.token >= 0) tokens.push(piece.token);
          written += piece.text;
          finishReason = piece.finishReason;
          if (!flags.json) await terminal.modelText(piece.text);
        }
      });
      checkComplete(options, finishReason);
    } catch (error) {
      if (error instanceof OutputClosed) throw error;
      failure = error;
    }
    bar.clear();
    const stats = model.stats();
    if (flags.json)
      await terminal.json({
        text: written,
        tokens,
        finishReason,
        stats: { ...stats, attention: attentionJson(stats.attention, flags.stats), seed },
      });
    else if (!written.endsWith("\n")) await terminal.line();
    if (flags.stats) await terminal.note(formatStats(stats, [["seed", String(seed)]]));
    if (failure) throw failure;
  });
}

async function promptFromStdin(terminal: Terminal): Promise<string> {
  if (terminal.host.stdin.isTTY)
    throw new OptionError("There is no prompt", {}, 'Give one: deltallm generate "Once upon a time", or pipe it in');
  // The newline that `echo` and editors put at the end is not meant.
  return (await readStdin(terminal)).replace(/\r?\n$/, "");
}
