import { FormatError } from "../../errors.js";
import { isObject, type JsonFields } from "../json.js";
import { type TokenizerData, TokenType } from "../model-file.js";
import { endTokens } from "../special-tokens.js";
import { readTokenizerJson } from "./tokenizer.js";

/** Small files of a folder, parsed. */
export interface FolderFiles {
  config?: JsonFields | undefined;
  generation?: JsonFields | undefined;
  tokenizer?: JsonFields | undefined;
  tokenizerConfig?: JsonFields | undefined;
  chatTemplate?: string | undefined;
}

/** Tokenizer facts of a folder: tokenizer.json, and what the other files say about first and last tokens. */
export function readHuggingFaceTokenizer(files: FolderFiles, vocab: number, notes: string[]): TokenizerData {
  const { config, generation, tokenizer, tokenizerConfig } = files;
  const id = (key: string) => generation?.numbers(key)?.[0] ?? config?.numbers(key)?.[0];
  const bosId = id("bos_token_id");
  const eosStated = generation?.numbers("eos_token_id") ?? config?.numbers("eos_token_id") ?? [];
  for (const each of [bosId, ...eosStated]) {
    if (each !== undefined && !(Number.isInteger(each) && each >= 0 && each < vocab)) {
      throw new FormatError(`The token id ${each} is outside the vocabulary of ${vocab}`, {
        file: generation?.file ?? config?.file,
      });
    }
  }
  const pad = id("pad_token_id");
  // Padding is never used here; some files have −1 or an id beyond the vocabulary.
  const padId = pad !== undefined && Number.isInteger(pad) && pad >= 0 && pad < vocab ? pad : undefined;
  if (!tokenizer) {
    notes.push("There is no tokenizer.json: the model can be run on token ids only");
    return { kind: "bpe", tokens: [], types: [], merges: [], eosIds: eosStated, bosId, padId };
  }
  const bosText = tokenText(tokenizerConfig, "bos_token");
  const data = readTokenizerJson(tokenizer, vocab, bosText);
  const bosNamed = bosText === undefined ? -1 : data.tokens.lastIndexOf(bosText);
  const isControl = (token: number) => data.types[token] === TokenType.control;
  // generation_config.json lists every end token; config.json often only one.
  const found = generation?.get("eos_token_id") === undefined ? endTokens(data.tokens, isControl) : [];
  return {
    ...data,
    bosId: bosId ?? (bosNamed < 0 ? undefined : bosNamed),
    padId,
    addBos: data.addBos ?? tokenizerConfig?.boolean("add_bos_token") ?? false,
    addEos: data.addEos ?? tokenizerConfig?.boolean("add_eos_token") ?? false,
    eosIds: [...new Set([...eosStated, ...found])],
    chatTemplate: files.chatTemplate ?? templateOf(tokenizerConfig),
  };
}

/** `"bos_token": "<s>"` or `{ "content": "<s>" }`. */
function tokenText(json: JsonFields | undefined, key: string): string | undefined {
  const value = json?.get(key);
  const text = isObject(value) ? value.content : value;
  return typeof text === "string" ? text : undefined;
}

/** `chat_template` is one template, or a list of named ones of which `default` is the chat's. */
function templateOf(json: JsonFields | undefined): string | undefined {
  const value = json?.get("chat_template");
  if (!Array.isArray(value)) return typeof value === "string" ? value : undefined;
  const named = value.filter(isObject);
  const chosen = named.find((each) => each.name === "default") ?? named[0];
  return typeof chosen?.template === "string" ? chosen.template : undefined;
}
