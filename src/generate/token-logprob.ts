import type { ModelTokenizer } from "../tokenizer/tokenizer.js";
import type { TokenLogprob } from "../types/results.js";

/** A token with its text. A vocabulary may be shorter than the rows of logits. */
export function tokenLogprob(
  tokenizer: ModelTokenizer,
  { id, logprob }: { id: number; logprob: number },
): TokenLogprob {
  return { token: id, text: id < tokenizer.vocabularySize ? tokenizer.tokenText(id) : "", logprob };
}
