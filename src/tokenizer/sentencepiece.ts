import { TokenizerError } from "../errors.js";
import { type TokenizerData, TokenType } from "../formats/model-file.js";
import { mergePairs } from "./merge-pairs.js";
import type { TextEncoding } from "./pair-merge.js";

const utf8 = new TextEncoder();
const byteToken = /^<0x([0-9A-Fa-f]{2})>$/;

/**
 * SentencePiece BPE as in Llama 1 and 2: spaces are ▁, neighbours whose joint text is a token are joined, the highest
 * score first, and a character without a token becomes its UTF-8 bytes. Source: llama.cpp, `llm_tokenizer_spm`.
 */
export class SentencePieceEncoding implements TextEncoding {
  readonly engine = "sentencepiece";
  readonly #ids = new Map<string, number>();
  readonly #byteIds: (number | undefined)[] = new Array(256).fill(undefined);
  readonly #scores: ArrayLike<number>;
  readonly #unknownId: number | undefined;

  /** @throws TokenizerError when there is not one score per token */
  constructor(data: TokenizerData) {
    if (data.scores?.length !== data.tokens.length)
      throw new TokenizerError(
        `The vocabulary has ${data.tokens.length} tokens, but ${data.scores?.length ?? 0} scores`,
        { key: "tokenizer.ggml.scores" },
      );
    this.#scores = data.scores;
    this.#unknownId = data.unknownId;
    for (let id = 0; id < data.tokens.length; id++) {
      const text = data.tokens[id]!;
      const type = data.types[id] ?? (byteToken.test(text) ? TokenType.byte : TokenType.normal);
      const byte = type === TokenType.byte ? byteToken.exec(text) : null;
      if (byte) this.#byteIds[Number.parseInt(byte[1]!, 16)] ??= id;
      else if (type === TokenType.normal && text && !this.#ids.has(text)) this.#ids.set(text, id);
    }
  }

  encode(text: string): number[] {
    const escaped = text.replaceAll(" ", "▁");
    const starts: number[] = [];
    for (let i = 0; i < escaped.length; i += escaped.codePointAt(i)! > 0xffff ? 2 : 1) starts.push(i);
    const left = mergePairs(escaped, Int32Array.from(starts), (symbols, start, _, end) => {
      const id = this.#ids.get(symbols.slice(start, end));
      return id === undefined ? undefined : -this.#scores[id]!;
    });
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
}

/** Bytes an entry of such a vocabulary stands for. */
export function sentencePieceBytes(text: string, type: number): Uint8Array {
  const byte = byteToken.exec(text);
  if (byte && (type === TokenType.byte || type === TokenType.normal))
    return Uint8Array.of(Number.parseInt(byte[1]!, 16));
  return utf8.encode(text.replaceAll("▁", " "));
}
