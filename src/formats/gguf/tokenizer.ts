import { FormatError, UnsupportedError } from "../../errors.js";
import { type TokenizerData, TokenType } from "../model-file.js";
import { show } from "../show.js";
import { endTokens } from "../special-tokens.js";
import type { Fields } from "./fields.js";

const kinds: ReadonlyMap<string, TokenizerData["kind"]> = new Map([
  ["gpt2", "bpe"],
  ["llama", "sentencepiece"],
]);

/**
 * Tokenizer facts from `tokenizer.*` metadata. A file without a tokenizer gives an empty vocabulary: such a model can
 * be run on token ids.
 * @throws UnsupportedError for other tokenizer models; FormatError for lists of unequal length and ids out of range.
 */
export function readGgufTokenizer(fields: Fields, vocab: number): TokenizerData {
  const { file } = fields;
  const model = fields.string("tokenizer.ggml.model");
  const tokens = fields.strings("tokenizer.ggml.tokens") ?? [];
  const kind = model === undefined && tokens.length === 0 ? "bpe" : kinds.get(model ?? "");
  if (!kind) {
    throw new UnsupportedError(
      `The tokenizer model ${show(model)} is not supported`,
      { file, key: "tokenizer.ggml.model" },
      `Supported are: ${[...kinds.keys()].join(", ")}`,
    );
  }
  if (tokens.length > vocab) {
    throw new FormatError(`There are ${tokens.length} tokens, but the embedding has ${vocab} rows`, {
      file,
      key: "tokenizer.ggml.tokens",
    });
  }
  const types = perToken(fields, "tokenizer.ggml.token_type", tokens.length) ?? [];
  const scores = perToken(fields, "tokenizer.ggml.scores", tokens.length);
  const pre = fields.string("tokenizer.ggml.pre");
  const id = (name: string) => tokenId(fields, `tokenizer.ggml.${name}_token_id`, vocab);
  const named = [id("eos"), id("eot"), id("eom")].filter((each) => each !== undefined);
  const isControl = (token: number) => types.length === 0 || types[token] === TokenType.control;
  return {
    kind,
    pre,
    tokens,
    types: types instanceof Float32Array ? [...types] : types,
    scores: scores instanceof Int32Array ? [...scores] : scores,
    merges: fields.stringList("tokenizer.ggml.merges") ?? [],
    bosId: id("bos"),
    eosIds: [...new Set([...named, ...endTokens(tokens, isControl)])],
    padId: id("padding"),
    unknownId: id("unknown"),
    addBos: fields.boolean("tokenizer.ggml.add_bos_token") ?? (kind === "sentencepiece" ? true : undefined),
    addEos: fields.boolean("tokenizer.ggml.add_eos_token"),
    endId: id("eos"),
    addSpacePrefix: fields.boolean("tokenizer.ggml.add_space_prefix"),
    chatTemplate: fields.string("tokenizer.chat_template"),
  };
}

function perToken(fields: Fields, key: string, length: number): ReturnType<Fields["numbers"]> {
  const values = fields.numbers(key);
  if (values && values.length !== length) {
    throw new FormatError(`${values.length} entries for ${length} tokens`, { file: fields.file, key });
  }
  return values;
}

function tokenId(fields: Fields, key: string, vocab: number): number | undefined {
  const id = fields.number(key);
  // Converters write −1 for "none".
  if (id === undefined || id === -1 || id === 0xffffffff) return undefined;
  if (!Number.isInteger(id) || id < 0 || id >= vocab) {
    throw new FormatError(`The token id ${id} is outside the vocabulary of ${vocab}`, { file: fields.file, key });
  }
  return id;
}
