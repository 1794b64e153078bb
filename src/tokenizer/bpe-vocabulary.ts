import { TokenizerError } from "../errors.js";
import { type TokenizerData, TokenType } from "../formats/model-file.js";
import { alphabetCharacter, fromAlphabet } from "./byte-alphabet.js";
import type { MergePriority } from "./merge-pairs.js";

/** Vocabulary of a byte-level BPE, all texts in the byte alphabet. */
export interface BpeVocabulary {
  /** Token texts that text can be made of → id. Control tokens and the like are not in it. */
  ids: Map<string, number>;
  /** Order of the merges. Absent where any two tokens whose joint text is a token may be joined, the lowest id first. */
  merges?: MergePriority | undefined;
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
  const many = data.merges.length > ids.size;
  // Going through the texts once is enough; where the others are likely not needed, they are not kept.
  let splits = readSplits(data.merges, ids, data.tokens.length, !many);
  if (many && splits.ordered) return { ids, ranksAreIds: () => true, mergesAreIds: true, missingBytes };
  if (many) splits = readSplits(data.merges, ids, data.tokens.length, true);
  const ranksAreIds = () => ranksReproduceMerges(data.tokens, ids, splits);
  return { ids, merges: mergeOrder(data.tokens, ids, splits), ranksAreIds, mergesAreIds: false, missingBytes };
}

/**
 * Finds a merge by what it makes: a joint text is divided in one place by the first merge that makes it. By their own texts,
 * 49,000 merges take 3 MB.
 */
function mergeOrder(tokens: readonly string[], ids: Map<string, number>, splits: Splits): MergePriority {
  const { left, order, others } = splits;
  return (text, start, middle, end) => {
    const result = ids.get(text.slice(start, end));
    if (result === undefined) return undefined;
    const first = left[result]!;
    if (first >= 0 && tokens[first]!.length === middle - start) return order[result];
    return others.size ? others.get(`${text.slice(start, middle)} ${text.slice(middle, end)}`) : undefined;
  };
}

interface Splits {
  /** Ids of the two halves by id of the result, −1 for none; of the first merge that makes it. */
  left: Int32Array;
  right: Int32Array;
  /** Place of that merge in the list. */
  order: Int32Array;
  /** Further merges of the same results, `"left right"` → place. */
  others: Map<string, number>;
  /** Results never go down from one merge to the next. */
  ordered: boolean;
  /** Results go up with every merge, and every half is older than the result. */
  increasing: boolean;
}

/** @param keepOthers whether `others` is wanted */
function readSplits(
  merges: Iterable<string>,
  ids: Map<string, number>,
  vocabularySize: number,
  keepOthers: boolean,
): Splits {
  const left = new Int32Array(vocabularySize).fill(-1);
  const right = new Int32Array(vocabularySize).fill(-1);
  const order = new Int32Array(vocabularySize);
  const others = new Map<string, number>();
  let count = 0;
  let ordered = true;
  let increasing = true;
  let last = -1;
  for (const merge of merges) {
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
    if (left[result] === -1) {
      left[result] = l;
      right[result] = r;
      order[result] = count;
    } else if (keepOthers && left[result] !== l && !others.has(merge)) others.set(merge, count);
    count++;
  }
  return { left, right, order, others, ordered, increasing };
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
