import { TokenizerError, UnsupportedError } from "../errors.js";
import { type TokenizerData, TokenType } from "../formats/model-file.js";
import type { TokenIds } from "../types/common.js";
import type { Tokenizer } from "../types/tokenizer.js";
import { fromAlphabet } from "./byte-alphabet.js";
import { ByteBpeEncoding } from "./byte-bpe.js";
import { SentencePieceEncoding, sentencePieceBytes } from "./sentencepiece.js";
import { protectionMark, SpecialTokens } from "./special-tokens.js";

/** Options of `encode`. */
export interface EncodeOptions {
  /**
   * Turn special tokens written out in the text into their ids. Default false: they are plain text, so that what a user
   * types cannot end a turn.
   */
  special?: boolean | undefined;
  /** Put the model's first token in front, unless it is there already. No effect when the model has none. Default false. */
  addBos?: boolean | undefined;
}

/** Options of `decode` and `createDecoder`. */
export interface DecodeOptions {
  /** Write special tokens out. Default true. */
  special?: boolean | undefined;
  /**
   * The ids go on with an earlier text, so the space that SentencePiece models put in front of a text is not taken off.
   * Default: false for `decode`, true for `createDecoder`.
   */
  continues?: boolean | undefined;
}

/** Turns ids into text one by one. */
export interface TokenDecoder {
  /** The text that is complete with this id. Empty while a character still lacks bytes. */
  push(id: number): string;
  /** What is left: U+FFFD when the last character never became complete. The decoder can then be used anew. */
  flush(): string;
}

/** The tokenizer of a model, with what generation needs besides encode and decode. */
export interface ModelTokenizer extends Omit<Tokenizer, "applyTemplate"> {
  encode(text: string, options?: EncodeOptions): Uint32Array;
  decode(ids: TokenIds, options?: DecodeOptions): string;
  /** Bytes the ids stand for, special tokens written out. */
  decodeBytes(ids: TokenIds): Uint8Array;
  /**
   * Bytes one token adds to a text: those of ordinary tokens, of single bytes, and of tokens added to the vocabulary as
   * text. Undefined for control tokens and for entries that are not used.
   */
  tokenBytes(id: number): Uint8Array | undefined;
  createDecoder(options?: DecodeOptions): TokenDecoder;
  /** The token as readable text; incomplete UTF-8 as U+FFFD. */
  tokenText(id: number): string;
  /** Id of a special token, by its text. */
  specialId(text: string): number | undefined;
  isSpecial(id: number): boolean;
  readonly vocabularySize: number;
  readonly bosId: number | undefined;
  /** Whether the model wants its first token in front of plain text. (Chat templates write it themselves.) */
  readonly addBos: boolean;
  /** Tokens that end a text or a turn, in increasing order. */
  readonly stopIds: readonly number[];
  /** What encodes longer texts: `pair-merge` where tiktoken would not give the model's own tokens. */
  readonly engine: "tiktoken" | "pair-merge" | "sentencepiece";
  /** False when the vocabulary alone gives the same ids: then the list of merges may be forgotten. */
  readonly needsMerges: boolean;
  /** Gives tiktoken's memory back. Any number of calls is fine; only `encode` needs it. */
  dispose(): void;
}

/** Tokens that end a turn or a text, besides those a file names. */
const stopTexts = [
  "<|eot_id|>",
  "<|im_end|>",
  "<|end|>",
  "<|eom_id|>",
  "<|end_of_text|>",
  "<|endoftext|>",
  "<|eot|>",
  "<end_of_turn>",
  "<|end_of_turn|>",
  "<|end▁of▁sentence|>",
  "<｜end▁of▁sentence｜>",
  "<EOT>",
  "</s>",
];

/**
 * Makes the tokenizer of a model. With an empty vocabulary it encodes nothing and decodes every id to an empty text.
 * @param options.engine for comparison, the ids are the same: `pair-merge` does without tiktoken, `tiktoken` uses it for
 *   short texts too. Default: whichever fits the text.
 * @throws UnsupportedError when the pre-tokenizer is not known
 * @throws TokenizerError when vocabulary and merges contradict each other
 */
export async function createTokenizer(
  data: TokenizerData,
  options: { engine?: "tiktoken" | "pair-merge" | undefined } = {},
): Promise<ModelTokenizer> {
  switch (data.kind) {
    case "bpe": {
      const encoding = await ByteBpeEncoding.create(data, options.engine);
      return new VocabularyTokenizer(data, encoding, encoding.preTokenizer.addBos);
    }
    case "sentencepiece":
      return new VocabularyTokenizer(data, new SentencePieceEncoding(data), true);
    default:
      throw new UnsupportedError(`Tokenizers of kind "${String(data.kind)}" are not supported`);
  }
}

/** The same tokenizer without tiktoken, made at once: for pages, where nothing of it may have to be awaited. */
export function createPairMergeTokenizer(data: TokenizerData): ModelTokenizer {
  if (data.kind === "sentencepiece") return new VocabularyTokenizer(data, new SentencePieceEncoding(data), true);
  const encoding = ByteBpeEncoding.createPairMerge(data);
  return new VocabularyTokenizer(data, encoding, encoding.preTokenizer.addBos);
}

type Encoding = ByteBpeEncoding | SentencePieceEncoding;

const utf8 = new TextEncoder();

class VocabularyTokenizer implements ModelTokenizer {
  readonly vocabularySize: number;
  readonly bosId: number | undefined;
  readonly addBos: boolean;
  readonly stopIds: readonly number[];
  readonly #data: TokenizerData;
  readonly #special: SpecialTokens;
  readonly #bytes: (Uint8Array | undefined)[] = [];
  /** Space that encoding puts in front of a text. */
  readonly #spacePrefix: boolean;
  #encoding: Encoding | undefined;

  constructor(data: TokenizerData, encoding: Encoding, addBos: boolean) {
    this.#data = data;
    this.#encoding = encoding;
    this.vocabularySize = data.tokens.length;
    this.bosId = data.bosId;
    this.addBos = data.bosId !== undefined && (data.addBos ?? addBos);
    this.#spacePrefix = data.kind === "sentencepiece" && data.addSpacePrefix !== false;
    this.#special = new SpecialTokens(data);
    const byText = stopTexts.map((text) => this.#special.idOf(text)).filter((id) => id !== undefined);
    this.stopIds = [...new Set([...data.eosIds, ...byText])].sort((a, b) => a - b);
  }

  encode(text: string, { special = false, addBos = false }: EncodeOptions = {}): Uint32Array {
    if (text && this.vocabularySize === 0) throw new TokenizerError("This model has no vocabulary: give it token ids");
    const parts = this.#split(text, special);
    const encoding = this.#live();
    const pieces = parts.map((part, i) => {
      if (typeof part === "number") return [part];
      // After a special token, as at the start, a SentencePiece text begins anew.
      return encoding.encode(this.#spacePrefix && typeof parts[i - 1] !== "string" ? ` ${part}` : part);
    });
    const first = pieces[0]?.[0];
    if (addBos && this.bosId !== undefined && first !== this.bosId) pieces.unshift([this.bosId]);
    const ids = new Uint32Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of pieces) {
      ids.set(piece, at);
      at += piece.length;
    }
    return ids;
  }

  countTokens(text: string): number {
    return this.encode(text).length;
  }

  decode(ids: TokenIds, { special = true, continues = false }: DecodeOptions = {}): string {
    const decoder = this.createDecoder({ special, continues });
    let text = "";
    for (let i = 0; i < ids.length; i++) text += decoder.push(ids[i]!);
    return text + decoder.flush();
  }

  decodeBytes(ids: TokenIds): Uint8Array {
    const parts = Array.from(ids, (id) => this.#bytesOf(id));
    const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  tokenBytes(id: number): Uint8Array | undefined {
    const text = this.#data.tokens[id];
    const type = this.#data.types[id] ?? (this.isSpecial(id) ? TokenType.control : TokenType.normal);
    if (!text || type === TokenType.control || type === TokenType.unknown || type === TokenType.unused)
      return undefined;
    return this.#bytes[id] ?? this.#bytesFrom(text, type, id);
  }

  createDecoder({ special = true, continues = true }: DecodeOptions = {}): TokenDecoder {
    const text = new TextDecoder("utf-8", { ignoreBOM: true });
    let atStart = this.#spacePrefix && !continues;
    return {
      push: (id) => {
        const bytes = this.#bytesOf(id);
        if (this.isSpecial(id)) return special ? text.decode(bytes, { stream: true }) : "";
        const spaced = atStart && bytes[0] === 0x20;
        atStart = false;
        return text.decode(spaced ? bytes.subarray(1) : bytes, { stream: true });
      },
      flush: () => text.decode(),
    };
  }

  tokenText(id: number): string {
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(this.#bytesOf(id));
  }

  specialId(text: string): number | undefined {
    return this.#special.idOf(text);
  }

  isSpecial(id: number): boolean {
    return this.#special.has(id);
  }

  get engine(): ModelTokenizer["engine"] {
    return this.#live().engine;
  }

  get needsMerges(): boolean {
    return this.#live().needsMerges;
  }

  dispose(): void {
    this.#encoding?.dispose();
    this.#encoding = undefined;
  }

  /** Tokens as ids, the rest as text, normalised and with the marks of `renderChat` taken out of it. */
  #split(text: string, special: boolean): (string | number)[] {
    const { normalization } = this.#data;
    return this.#special.split(text, special).map((part) => {
      if (typeof part !== "string") return part;
      const plain = special ? part.replaceAll(protectionMark, "") : part;
      return normalization ? plain.normalize(normalization) : plain;
    });
  }

  #live(): Encoding {
    if (!this.#encoding) throw new TokenizerError("The tokenizer was used after it was disposed");
    return this.#encoding;
  }

  #bytesOf(id: number): Uint8Array {
    const known = this.#bytes[id];
    if (known) return known;
    const text = this.#data.tokens[id];
    if (this.vocabularySize === 0) return new Uint8Array();
    if (text === undefined) throw new TokenizerError(`${id} is not a token; the vocabulary has ${this.vocabularySize}`);
    const type = this.#data.types[id] ?? TokenType.normal;
    const bytes = this.#bytesFrom(text, type, id);
    this.#bytes[id] = bytes;
    return bytes;
  }

  #bytesFrom(text: string, type: number, id: number): Uint8Array {
    if (this.#data.kind === "sentencepiece") return sentencePieceBytes(text, type);
    const bytes = !this.isSpecial(id) && type === TokenType.normal ? fromAlphabet(text) : undefined;
    return bytes ?? utf8.encode(text);
  }
}
