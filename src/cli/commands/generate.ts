import { OptionError, SessionError } from "../../errors.js";
import { resolveLimits } from "../../generate/options.js";
import { resolveSampling } from "../../generate/sampling-options.js";
import type { Piece, TokenLogprob } from "../../types.js";
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
    const logprobs: { token: number; logprob: number; topLogprobs: readonly TokenLogprob[] }[] = [];
    let written = "";
    let ending: Pick<Piece, "finishReason" | "usage"> = {};
    let shifted = false;
    let failure: unknown;
    const bar = new ProgressBar(terminal);
    if (!flags.json && terminal.host.stdout.isTTY) await terminal.write(terminal.style("bold", text));
    try {
      await terminal.interruptible(async (signal) => {
        const pieces = model.generate(text, {
          ...options,
          seed,
          signal,
          onProgress: (progress) => bar.update(progress),
          onContextShift({ note }) {
            bar.clear();
            if (!shifted) void terminal.note(note);
            shifted = true;
          },
        });
        for await (const piece of pieces) {
          bar.clear();
          const { token, logprob, topLogprobs, finishReason, usage } = piece;
          if (token >= 0) tokens.push(token);
          if (topLogprobs) logprobs.push({ token, logprob, topLogprobs });
          if (finishReason) ending = { finishReason, usage };
          written += piece.text;
          if (!flags.json) await terminal.modelText(piece.text);
        }
      });
      checkComplete(options, ending.finishReason);
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
        finishReason: ending.finishReason ?? "abort",
        usage: ending.usage,
        ...(logprobs.length > 0 ? { logprobs } : {}),
        stats: { ...stats, attention: attentionJson(stats.attention, flags.stats), seed },
      });
    else if (!written.endsWith("\n")) await terminal.line();
    if (flags.stats) await terminal.note(formatStats(stats, [["seed", String(seed)]]));
    if (failure) throw failure;
    if (tokens.length === 0 && ending.finishReason === "context")
      throw new SessionError(
        "Nothing was written: the prompt fills the context",
        {},
        "Use a larger --ctx or less text",
      );
  });
}

async function promptFromStdin(terminal: Terminal): Promise<string> {
  if (terminal.host.stdin.isTTY)
    throw new OptionError("There is no prompt", {}, 'Give one: deltallm generate "Once upon a time", or pipe it in');
  // The newline that `echo` and editors put at the end is not meant.
  return (await readStdin(terminal)).replace(/\r?\n$/, "");
}
