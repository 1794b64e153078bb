import type { Tiktoken } from "tiktoken/lite";
import type { TokenizerData } from "../formats/model-file.js";
import { type BpeVocabulary, readBpeVocabulary } from "./bpe-vocabulary.js";
import { PairMergeEncoding, type TextEncoding } from "./pair-merge.js";
import { compileStages, type PreTokenizer, preTokenizer, splitText, type TextPattern } from "./pre-tokenizers.js";
import { createTiktoken, type LoadTiktoken, tiktokenLoader } from "./tiktoken.js";

/** Longest piece that is given to tiktoken: its time grows with the square of a piece. */
const longestPiece = 256;

/**
 * Texts up to this length never need tiktoken: for a first short prompt, making it ready takes longer than everything
 * else.
 */
const shortText = 512;

const utf8 = new TextEncoder();

/** Byte-level BPE by tiktoken, and by `PairMergeEncoding` for the texts and models tiktoken is not right for. */
export class ByteBpeEncoding implements TextEncoding {
  readonly preTokenizer: PreTokenizer;
  readonly #library: LoadTiktoken | undefined;
  readonly #vocabulary: BpeVocabulary;
  readonly #exact: PairMergeEncoding;
  readonly #stages: readonly TextPattern[];
  readonly #missing: Uint8Array | undefined;
  readonly #lengths: Uint16Array;
  readonly #shortText: number;
  /** Made when first needed; null when this model has to do without. */
  #tiktoken: Tiktoken | null | undefined;

  /** @throws TokenizerError, UnsupportedError */
  static async create(data: TokenizerData, engine?: "tiktoken" | "pair-merge"): Promise<ByteBpeEncoding> {
    const library = engine === "pair-merge" ? undefined : await tiktokenLoader();
    return new ByteBpeEncoding(data, library, engine === "tiktoken" ? 0 : shortText);
  }

  /** The same without tiktoken, at once. */
  static createPairMerge(data: TokenizerData): ByteBpeEncoding {
    return new ByteBpeEncoding(data, undefined, shortText);
  }

  private constructor(data: TokenizerData, library: LoadTiktoken | undefined, shortText: number) {
    this.#library = library;
    this.#shortText = shortText;
    this.preTokenizer = preTokenizer(data.pre, data.pattern, data.ignoreMerges);
    this.#stages = compileStages(this.preTokenizer);
    this.#vocabulary = readBpeVocabulary(data);
    this.#exact = new PairMergeEncoding(this.#vocabulary, this.#stages, this.preTokenizer.wholePieces);
    // Bytes that no UTF-8 contains need no watching.
    const missing = this.#vocabulary.missingBytes.filter((byte) => byte < 0xc0 || (byte > 0xc1 && byte < 0xf5));
    if (missing.length) {
      this.#missing = new Uint8Array(256);
      for (const byte of missing) this.#missing[byte] = 1;
    }
    this.#lengths = new Uint16Array(data.tokens.length);
    for (const [text, id] of this.#vocabulary.ids) this.#lengths[id] = text.length;
  }

  /** The vocabulary alone gives the same ids. */
  get needsMerges(): boolean {
    return !this.#vocabulary.mergesAreIds;
  }

  /** What encodes longer texts: `pair-merge` where ids as ranks would not give the model's own tokens. */
  get engine(): "tiktoken" | "pair-merge" {
    return this.#ready() ? "tiktoken" : "pair-merge";
  }

  encode(text: string): ArrayLike<number> {
    if (text.length <= this.#shortText) return this.#exact.encode(text);
    const tiktoken = this.#ready();
    if (!tiktoken || this.#hasLongPiece(text)) return this.#exact.encode(text);
    const bytes = utf8.encode(text);
    if (this.#missing && bytes.some((byte) => this.#missing![byte] === 1)) return this.#exact.encode(text);
    const ids = tiktoken.encode_ordinary(text);
    // A pattern from a file may leave characters out, and tiktoken would drop them.
    let length = 0;
    for (const id of ids) length += this.#lengths[id]!;
    return length === bytes.length ? ids : this.#exact.encode(text);
  }

  dispose(): void {
    this.#tiktoken?.free();
    this.#tiktoken = null;
  }

  #ready(): Tiktoken | null {
    if (this.#tiktoken === undefined) {
      this.#tiktoken = null;
      const { pattern } = this.preTokenizer;
      const library = pattern !== undefined && this.#vocabulary.ranksAreIds() ? this.#library?.() : undefined;
      if (library && pattern !== undefined)
        this.#tiktoken = createTiktoken(library, this.#vocabulary.ids, pattern) ?? null;
    }
    return this.#tiktoken;
  }

  #hasLongPiece(text: string): boolean {
    return hasLongRun(text) && splitText(text, this.#stages).some((piece) => piece.length > longestPiece);
  }
}

/** Whether more than half of `longestPiece` characters follow each other that are all white space, or all not. */
function hasLongRun(text: string): boolean {
  if (text.length <= longestPiece) return false;
  let run = 0;
  let blankRun = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const blank = code <= 0x20 || code === 0xa0 || (code >= 0x2000 && code <= 0x3000);
    run = blank === blankRun ? run + 1 : 1;
    blankRun = blank;
    if (run > longestPiece / 2 - 1) return true;
  }
  return false;
}
