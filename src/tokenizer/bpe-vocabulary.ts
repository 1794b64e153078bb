import { TokenizerError } from "../errors.js";
import { type TokenizerData, TokenType } from "../formats/model-file.js";
import { alphabetCharacter, fromAlphabet } from "./byte-alphabet.js";

/** Vocabulary of a byte-level BPE, all texts in the byte alphabet. */
export interface BpeVocabulary {
  /** Token texts that text can be made of → id. Control tokens and the like are not in it. */
  ids: Map<string, number>;
  /** `"left right"` → order of the merge. Absent where any two tokens whose joint text is a token may be joined, the lowest id first. */
  merges?: Map<string, number> | undefined;
  /** Finds out whether ids alone, as tiktoken uses them, give the same tokens as the merges. Takes some time. */
  ranksAreIds(): boolean;
  /** The merges say nothing that the ids do not say. */
  mergesAreIds: boolean;
  /** Bytes for which there is no token; text loses them. */
  missingBytes: number[];
}

/** Whether an entry can be the result of encoding ordinary text. */
export function isOrdinary(data: TokenizerData, id: number): boolean {
  const type = data.types[id];
  if (type !== undefined) return type === TokenType.normal || type === TokenType.byte;
  return id !== data.bosId && id !== data.padId && !data.eosIds.includes(id) && !/^<\|.*\|>$/s.test(data.tokens[id]!);
}

/**
 * Reads vocabulary and merges. Three cases:
 * no merges, or more merges than tokens (every split of every token, as written for the Llama-3 family): the id is the
 * rank; otherwise the merges of a trained BPE, for which it is checked whether ids as ranks give the same.
 * @throws TokenizerError when a merge leads to no token
 */
export function readBpeVocabulary(data: TokenizerData): BpeVocabulary {
  const ids = new Map<string, number>();
  for (let id = 0; id < data.tokens.length; id++) {
    const text = data.tokens[id]!;
    if (text && isOrdinary(data, id) && !ids.has(text) && fromAlphabet(text)) ids.set(text, id);
  }
  const missingBytes = Array.from({ length: 256 }, (_, byte) => byte).filter(
    (byte) => !ids.has(alphabetCharacter(byte)),
  );
  if (data.merges.length === 0) return { ids, ranksAreIds: () => true, mergesAreIds: true, missingBytes };
  const merges = new Map<string, number>();
  const rank = (merge: string) => {
    if (!merges.has(merge)) merges.set(merge, merges.size);
  };
  const many = data.merges.length > ids.size;
  // Going through the texts once is enough; where they are likely not needed, they are not kept.
  const splits = readSplits(data.merges, ids, data.tokens.length, many ? undefined : rank);
  if (many && splits.ordered) return { ids, ranksAreIds: () => true, mergesAreIds: true, missingBytes };
  if (many) for (const merge of data.merges) rank(merge);
  const ranksAreIds = () => ranksReproduceMerges(data.tokens, ids, splits);
  return { ids, merges, ranksAreIds, mergesAreIds: false, missingBytes };
}

interface Splits {
  /** Ids of the two halves by id of the result, −1 for none. */
  left: Int32Array;
  right: Int32Array;
  /** Results never go down from one merge to the next. */
  ordered: boolean;
  /** Results go up with every merge, and every half is older than the result. */
  increasing: boolean;
}

/** @param each called with every merge */
function readSplits(
  merges: Iterable<string>,
  ids: Map<string, number>,
  vocabularySize: number,
  each: ((merge: string) => void) | undefined,
): Splits {
  const left = new Int32Array(vocabularySize).fill(-1);
  const right = new Int32Array(vocabularySize).fill(-1);
  let ordered = true;
  let increasing = true;
  let last = -1;
  for (const merge of merges) {
    each?.(merge);
    const space = merge.indexOf(" ", 1);
    const a = merge.slice(0, space);
    const b = merge.slice(space + 1);
    const l = ids.get(a);
    const r = ids.get(b);
    const result = ids.get(a + b);
    if (space < 0 || l === undefined || r === undefined || result === undefined)
      throw new TokenizerError(
        `The merge "${merge}" is not of two tokens that make a third`,
        { key: "tokenizer.ggml.merges" },
        "Vocabulary and merges do not belong together",
      );
    ordered &&= result >= last;
    increasing &&= result > last && (a.length === 1 || l < result) && (b.length === 1 || r < result);
    last = result;
    left[result] = l;
    right[result] = r;
  }
  return { left, right, ordered, increasing };
}

/**
 * Whether joining the two neighbours whose joint text has the lowest id, listed as a merge or not, always gives what
 * the merges give. It does when every token, encoded that way, is at last joined from the very halves its merge names:
 * what is joined inside a token's stretch of text does not depend on what surrounds it, so then an unlisted pair is
 * never joined anywhere. Checked per merge along the seam of the two halves only.
 */
function ranksReproduceMerges(tokens: readonly string[], ids: Map<string, number>, splits: Splits): boolean {
  if (!splits.increasing) return false;
  for (const [text, id] of ids) {
    if (text.length === 1) continue;
    if (splits.left[id] === -1) return false; // only as a whole piece can it be had, if at all
    if (seamIsCrossed(tokens, ids, splits, id)) return false;
  }
  return true;
}

/** Undoes the newest join beside the seam again and again and looks whether another one, across the seam, came first. */
function seamIsCrossed(tokens: readonly string[], ids: Map<string, number>, splits: Splits, id: number): boolean {
  const age = (token: number) => (tokens[token]!.length === 1 ? -1 : token);
  let a = splits.left[id]!;
  let b = splits.right[id]!;
  let limit = id;
  let limitIsFirst = true; // of two equal joins the left one comes first
  for (;;) {
    const across = ids.get(tokens[a]! + tokens[b]!);
    if (across !== undefined && (across < limit || (across === limit && !limitIsFirst))) return true;
    const ageA = age(a);
    const ageB = age(b);
    if (ageA === -1 && ageB === -1) return false;
    limitIsFirst = ageA > ageB;
    if (limitIsFirst) {
      limit = a;
      a = splits.right[a]!;
    } else {
      limit = b;
      b = splits.left[b]!;
    }
  }
}
