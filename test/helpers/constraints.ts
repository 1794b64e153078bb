import type { Constraint, ConstraintState, TokenBytes } from "#src/constraints/types.js";
import { createPairMergeTokenizer } from "#src/tokenizer/tokenizer.js";
import { storyData } from "./tokenizers.js";

const utf8 = new TextEncoder();

/** A vocabulary of every byte, then `words`, then one token that ends a text. */
export function byteVocabulary(words: readonly string[] = [], special: readonly string[] = []): TokenBytes {
  const size = 256 + words.length + special.length + 1;
  return {
    size,
    bytes: (id) => (id < 256 ? Uint8Array.of(id) : id < 256 + words.length ? utf8.encode(words[id - 256]) : undefined),
    specialId: (text) => (special.includes(text) ? 256 + words.length + special.indexOf(text) : undefined),
    stopIds: [size - 1],
  };
}

let story: TokenBytes | undefined;

/** The vocabulary of the embedded model. */
export function storyVocabulary(): TokenBytes {
  if (!story) {
    const tokenizer = createPairMergeTokenizer(storyData());
    story = {
      size: tokenizer.vocabularySize,
      bytes: (id) => (tokenizer.isSpecial(id) ? undefined : tokenizer.decodeBytes([id])),
      specialId: (text) => tokenizer.specialId(text),
      stopIds: tokenizer.stopIds,
    };
  }
  return story;
}

/** Whether a constraint over `byteVocabulary` allows exactly this text. */
export function accepts(constraint: Constraint, text: string): boolean {
  const state = constraint.start();
  for (const byte of utf8.encode(text)) {
    if (!state.allows(byte)) return false;
    state.advance(byte);
  }
  return state.complete;
}

/** Numbers that look random, in [0, 1). */
export function randomNumbers(seed: number): () => number {
  let state = (seed * 2654435761) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}

/** Tokens of a mask. */
export function tokensOf(mask: Uint32Array): number[] {
  const ids: number[] = [];
  mask.forEach((word, i) => {
    for (let rest = word; rest !== 0; rest &= rest - 1) ids.push(i * 32 + 31 - Math.clz32(rest & -rest));
  });
  return ids;
}

/** A text written by choosing among the allowed tokens, or undefined when it did not end within `most` tokens. */
export function randomText(
  constraint: Constraint,
  vocabulary: TokenBytes,
  random: () => number,
  most: number,
  look?: (state: ConstraintState, allowed: number[]) => void,
): string | undefined {
  const state = constraint.start();
  const bytes: number[] = [];
  for (let i = 0; i < most; i++) {
    if (state.ended) break;
    const allowed = tokensOf(state.mask());
    look?.(state, allowed);
    // What ends a text is taken more often: otherwise texts that may go on would hardly ever end.
    const stops = allowed.filter((id) => vocabulary.stopIds.includes(id));
    const id = stops.length && random() < 0.3 ? stops[0]! : allowed[Math.floor(random() * allowed.length)]!;
    state.advance(id);
    if (!vocabulary.stopIds.includes(id)) bytes.push(...vocabulary.bytes(id)!);
  }
  return state.ended
    ? new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes))
    : undefined;
}
