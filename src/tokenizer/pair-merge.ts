import type { BpeVocabulary } from "./bpe-vocabulary.js";
import { alphabetCharacter, toAlphabet } from "./byte-alphabet.js";
import { type MergePriority, mergePairs } from "./merge-pairs.js";
import { splitText, type TextPattern } from "./pre-tokenizers.js";

/** Turns ordinary text into ids. */
export interface TextEncoding {
  encode(text: string): ArrayLike<number>;
}

const cachedPieces = 20_000;
const cachedLength = 64;

/**
 * Byte-level BPE in plain TypeScript. Says what is right: with merges, that of Hugging Face and llama.cpp; without,
 * tiktoken's. Takes over where tiktoken would be wrong or slow.
 */
export class PairMergeEncoding implements TextEncoding {
  readonly #vocabulary: BpeVocabulary;
  readonly #stages: readonly TextPattern[];
  readonly #wholePieces: boolean;
  readonly #missing: RegExp | undefined;
  readonly #priority: MergePriority;
  readonly #cache = new Map<string, number[]>();

  constructor(vocabulary: BpeVocabulary, stages: readonly TextPattern[], wholePieces: boolean) {
    this.#vocabulary = vocabulary;
    this.#stages = stages;
    const { ids, merges } = vocabulary;
    this.#wholePieces = wholePieces || !merges;
    const missing = vocabulary.missingBytes.map((byte) => alphabetCharacter(byte).replace(/[\\\]^-]/, "\\$&"));
    this.#missing = missing.length ? new RegExp(`[${missing.join("")}]`, "g") : undefined;
    this.#priority = merges ?? ((text, start, _, end) => ids.get(text.slice(start, end)));
  }

  encode(text: string): number[] {
    const out: number[] = [];
    for (const piece of splitText(text, this.#stages)) {
      let ids = this.#cache.get(piece);
      if (!ids) {
        ids = this.#encodePiece(toAlphabet(piece));
        if (piece.length <= cachedLength) {
          if (this.#cache.size >= cachedPieces) this.#cache.clear();
          this.#cache.set(piece, ids);
        }
      }
      for (const id of ids) out.push(id);
    }
    return out;
  }

  #encodePiece(bytes: string): number[] {
    const { ids } = this.#vocabulary;
    if (this.#wholePieces) {
      const whole = ids.get(bytes);
      if (whole !== undefined) return [whole];
    }
    // Bytes without a token vanish first: their neighbours join as if they had not been there.
    const text = this.#missing ? bytes.replace(this.#missing, "") : bytes;
    const starts = mergePairs(
      text,
      Int32Array.from({ length: text.length }, (_, i) => i),
      this.#priority,
    );
    return Array.from(starts, (start, i) => ids.get(text.slice(start, starts[i + 1] ?? text.length))!);
  }
}
