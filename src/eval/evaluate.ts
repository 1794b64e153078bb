import { OptionError } from "../errors.js";
import type { Model } from "../types.js";
import type { EvalRecord } from "./records.js";
import { scoreAnswer } from "./squad.js";
import { ANSWER_TOKENS, type Example } from "./tasks.js";

export interface EvaluateOptions {
  /** Most tokens of a session of this model. */
  contextLength: number;
  signal?: AbortSignal | undefined;
}

/** Runs one example of a task. */
export async function evaluate(
  model: Model,
  task: string,
  example: Example,
  options: EvaluateOptions,
): Promise<EvalRecord> {
  const { index } = example;
  switch (example.kind) {
    case "choice": {
      const { scores, cut } = await scoreRequests(model, example.requests, options);
      const { gold, bytes } = example;
      const logprobs = scores.map(({ logprob }) => logprob);
      const tokens = scores.map((score) => score.tokens);
      return { task, index, gold, logprobs, tokens, ...(bytes && { bytes }), ...(cut && { cut }) };
    }
    case "word": {
      const { scores, cut } = await scoreRequests(model, [example.request], options);
      const { logprob, tokens, greedy } = scores[0] as Score;
      return { task, index, logprob, tokens, greedy, ...(cut && { cut }) };
    }
    case "answer": {
      const { id, golds } = example;
      const { text: prediction, cut } = await answer(model, example.prompt, options);
      const answerable = golds.length > 0;
      const { exact, f1 } = scoreAnswer(golds, prediction);
      return { task, index, id, prediction, exact, f1, answerable, ...(cut && { cut }) };
    }
    case "window": {
      const logprobs = await model.scoreWindow(example.ids, { signal: options.signal });
      return { task, index, logprob: sum(logprobs), tokens: logprobs.length };
    }
  }
}

interface Score {
  logprob: number;
  tokens: number;
  greedy: boolean;
}

/**
 * Log-likelihood of each continuation after its context. What contexts begin with alike is computed once.
 * The tokens of a continuation are those of context + continuation after as many as the context has on its own; a
 * trailing blank of the context belongs to the continuation.
 */
export async function scoreRequests(
  model: Model,
  requests: readonly { context: string; continuation: string }[],
  { contextLength, signal }: EvaluateOptions,
): Promise<{ scores: Score[]; cut: number }> {
  const { tokenizer } = model;
  const encode = (text: string) => Array.from(tokenizer.encode(text, { addBos: tokenizer.addBos }));
  let cut = 0;
  const sequences = requests.map(({ context, continuation }) => {
    const all = encode(context + continuation);
    const start = encode(context.trimEnd()).length;
    const tooMany = Math.max(0, all.length - contextLength);
    cut = Math.max(cut, tooMany);
    if (start - tooMany < 1)
      throw new OptionError(
        tooMany ? `A continuation does not fit the context of ${contextLength} tokens` : "There is no context",
        {},
        tooMany ? "Give a larger --ctx" : undefined,
      );
    return { ids: all.slice(tooMany), start: start - tooMany };
  });
  const results = await model.score(
    sequences.map(({ ids, start }) => ids.slice(0, start)),
    sequences.map(({ ids, start }) => ids.slice(start)),
    { signal },
  );
  const scores = results.map(({ logprob, logprobs, greedy }) => ({ logprob, tokens: logprobs.length, greedy }));
  return { scores, cut };
}

/** The likeliest tokens up to the first newline, without blanks around them. */
async function answer(model: Model, prompt: string, { contextLength, signal }: EvaluateOptions) {
  const { tokenizer } = model;
  const ids = Array.from(tokenizer.encode(prompt, { addBos: tokenizer.addBos }));
  const cut = Math.max(0, ids.length + ANSWER_TOKENS - contextLength);
  let text = "";
  const options = { temperature: 0, maxTokens: ANSWER_TOKENS, stop: "\n", seed: 0, signal };
  for await (const piece of model.generate(ids.slice(cut), options)) text += piece.text;
  return { text: text.trim(), cut };
}

function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i] as number;
  return total;
}
