import { TokenizerError } from "../errors.js";
import { type TokenizerData, TokenType } from "../formats/model-file.js";
import { mergePairs } from "./merge-pairs.js";
import type { TextEncoding } from "./pair-merge.js";

const utf8 = new TextEncoder();
const byteToken = /^<0x([0-9A-Fa-f]{2})>$/;

/** The order of a merge of the symbols `start` … `middle` and `middle` … `end` of a text; undefined when they stay apart. */
type Priority = (symbols: string, start: number, middle: number, end: number) => number | undefined;

/**
 * SentencePiece BPE as in Llama 1 and 2 and in Gemma: spaces are ▁, neighbours whose joint text is a token are joined, the
 * highest score first, and a character without a token becomes its UTF-8 bytes. Source: llama.cpp, `llm_tokenizer_spm`.
 * Files of Hugging Face have a list of merges instead of scores.
 */
export class SentencePieceEncoding implements TextEncoding {
  readonly engine = "sentencepiece";
  /** The merges tell the order, not scores. */
  readonly needsMerges: boolean;
  readonly #ids = new Map<string, number>();
  readonly #byteIds: (number | undefined)[] = new Array(256).fill(undefined);
  readonly #priority: Priority;
  readonly #unknownId: number | undefined;

  /** @throws TokenizerError when there is not one score per token, nor merges */
  constructor(data: TokenizerData) {
    const { scores, tokens, merges } = data;
    const merged = scores === undefined && merges.length > 0;
    if (!merged && scores?.length !== tokens.length)
      throw new TokenizerError(`The vocabulary has ${tokens.length} tokens, but ${scores?.length ?? 0} scores`, {
        key: "tokenizer.ggml.scores",
      });
    this.needsMerges = merged;
    this.#unknownId = data.unknownId;
    for (let id = 0; id < tokens.length; id++) {
      const text = tokens[id]!;
      const type = data.types[id] ?? (byteToken.test(text) ? TokenType.byte : TokenType.normal);
      const byte = type === TokenType.byte ? byteToken.exec(text) : null;
      // Where merges say so, pieces that users defined are merged as well.
      const made = type === TokenType.normal || (merged && type === TokenType.userDefined);
      if (byte) this.#byteIds[Number.parseInt(byte[1]!, 16)] ??= id;
      else if (made && text && !this.#ids.has(text)) this.#ids.set(text, id);
    }
    this.#priority = merged ? this.#byMerges(merges, tokens.length) : this.#byScores(scores as ArrayLike<number>);
  }

  encode(text: string): number[] {
    const escaped = text.replaceAll(" ", "▁");
    const starts: number[] = [];
    for (let i = 0; i < escaped.length; i += escaped.codePointAt(i)! > 0xffff ? 2 : 1) starts.push(i);
    const left = mergePairs(escaped, Int32Array.from(starts), this.#priority);
    const out: number[] = [];
    for (let i = 0; i < left.length; i++) {
      const symbol = escaped.slice(left[i], left[i + 1] ?? escaped.length);
      const id = this.#ids.get(symbol);
      if (id !== undefined) {
        out.push(id);
        continue;
      }
      const bytes = Array.from(utf8.encode(symbol), (byte) => this.#byteIds[byte]);
      if (bytes.every((byte) => byte !== undefined)) out.push(...bytes);
      else if (this.#unknownId !== undefined) out.push(this.#unknownId);
      else throw new TokenizerError(`There is no token for ${JSON.stringify(symbol)}, nor one for the unknown`);
    }
    return out;
  }

  dispose(): void {}

  #byScores(scores: ArrayLike<number>): Priority {
    return (symbols, start, _, end) => {
      const id = this.#ids.get(symbols.slice(start, end));
      return id === undefined ? undefined : -scores[id]!;
    };
  }

  /** Pairs go by the numbers of their tokens: half a million texts would take their memory twice. */
  #byMerges(merges: Iterable<string>, count: number): Priority {
    const ranks = new Map<number, number>();
    for (const merge of merges) {
      const space = merge.indexOf(" ", 1);
      const left = this.#ids.get(merge.slice(0, space));
      const right = this.#ids.get(merge.slice(space + 1));
      if (left === undefined || right === undefined) continue;
      const pair = left * count + right;
      if (!ranks.has(pair)) ranks.set(pair, ranks.size);
    }
    return (symbols, start, middle, end) => {
      const left = this.#ids.get(symbols.slice(start, middle));
      const right = this.#ids.get(symbols.slice(middle, end));
      return left === undefined || right === undefined ? undefined : ranks.get(left * count + right);
    };
  }
}

/** Bytes an entry of such a vocabulary stands for. */
export function sentencePieceBytes(text: string, type: number): Uint8Array {
  const byte = byteToken.exec(text);
  if (byte && (type === TokenType.byte || type === TokenType.normal))
    return Uint8Array.of(Number.parseInt(byte[1]!, 16));
  return utf8.encode(text.replaceAll("▁", " "));
}
