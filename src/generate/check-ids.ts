import { OptionError, SessionError } from "../errors.js";
import type { TokenIds } from "../types.js";

/**
 * Looks at the tokens that are to follow the first `length` of a session.
 * @throws OptionError for what are no ids of the model, SessionError when they do not fit the context
 */
export function checkIds(ids: TokenIds, vocab: number, length: number, contextLength: number): void {
  checkList(ids, "ids");
  checkFits(length, ids.length, contextLength);
  if (ids.length === 0) throw new OptionError("No tokens were given", { key: "ids" }, "Give at least one token");
  checkVocabularyIds(ids, vocab, "ids");
}

/** @throws OptionError for what are no ids of the model; a list without any is fine */
export function checkVocabularyIds(ids: TokenIds, vocab: number, key: string): void {
  checkList(ids, key);
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] as number;
    if (!Number.isInteger(id) || id < 0 || id >= vocab)
      throw new OptionError(
        `${id} is not a token id of this model`,
        { key: `${key}[${i}]` },
        `Ids go from 0 to ${vocab - 1}`,
      );
  }
}

function checkList(ids: TokenIds, key: string): void {
  if (typeof ids !== "object" || ids === null || !Number.isInteger(ids.length))
    throw new OptionError("These are not token ids", { key }, "Give an array, or a typed array");
}

/** Asked first: a list may be longer than anything that can be looked through. */
function checkFits(length: number, more: number, contextLength: number): void {
  if (length + more > contextLength)
    throw new SessionError(
      `${length} + ${more} tokens do not fit the context of ${contextLength}`,
      {},
      "Load the model with a larger contextLength, or give less text",
    );
}
