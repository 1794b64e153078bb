import type { Model, Piece } from "../types.js";

/** A token's log-probability as chat completions write it; `bytes` are those of its own text. */
export function pieceLogprob(model: Model, piece: Piece, top: number): object {
  const entry = (token: number, logprob: number) => {
    const text = tokenText(model, token);
    return { token: text, logprob: finite(logprob), bytes: [...new TextEncoder().encode(text)] };
  };
  return {
    ...entry(piece.token, piece.logprob),
    top_logprobs: (piece.topLogprobs ?? []).slice(0, top).map(({ token, logprob }) => entry(token, logprob)),
  };
}

/** The token's own text; incomplete UTF-8 becomes U+FFFD. */
export function tokenText(model: Model, token: number): string {
  return model.tokenizer.decode([token]);
}

/** JSON has no infinities; OpenAI writes −9999 for them. */
export function finite(logprob: number): number {
  return Number.isFinite(logprob) ? logprob : -9999;
}
