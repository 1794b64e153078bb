import type { GenerateOptions } from "../types/generate-options.js";
import type { Completion, Piece, TokenLogprob } from "../types/results.js";
import type { ToolCall } from "../types/tools.js";
import { collectCall } from "./tool-calls.js";

/** Gathers a generation into one answer. */
export async function gather<T>(
  pieces: AsyncIterable<Piece>,
  tokenText: (id: number) => string,
  options: GenerateOptions = {},
): Promise<Completion<T>> {
  const start = performance.now();
  let first: number | undefined;
  const answer: Completion<T> = {
    text: "",
    tokens: [],
    usage: { promptTokens: 0, cachedTokens: 0, completionTokens: 0 },
    finishReason: "abort",
  };
  const logprobs: (TokenLogprob & { topLogprobs: TokenLogprob[] })[] = [];
  const calls: ToolCall[] = [];
  for await (const { text, token, logprob, topLogprobs, toolCallDelta, finishReason, usage } of pieces) {
    first ??= performance.now();
    answer.text += text;
    collectCall(calls, toolCallDelta);
    if (token >= 0) {
      answer.tokens.push(token);
      if (topLogprobs) logprobs.push({ token, text: tokenText(token), logprob, topLogprobs });
    }
    if (finishReason) answer.finishReason = finishReason;
    if (usage) answer.usage = usage;
  }
  const end = performance.now();
  first ??= end;
  if (logprobs.length > 0) answer.logprobs = logprobs;
  if (calls.length > 0) answer.toolCalls = calls;
  // Only an answer that is complete has a value.
  if (options.schema !== undefined && answer.finishReason === "schema") answer.value = JSON.parse(answer.text) as T;
  answer.timings = { promptMs: first - start, completionMs: end - first };
  return answer;
}
