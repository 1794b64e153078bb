import { FormatError } from "../../errors.js";
import { isObject, type JsonFields } from "../json.js";
import { TokenType } from "../model-file.js";
import { show } from "../show.js";

/** Most merges that are allowed; Llama 3 has 280,147. */
const MAX_MERGES = 4 * 2 ** 20;

/** Token texts and kinds by id, and ids by text. */
export interface Vocabulary {
  tokens: string[];
  types: Int32Array;
  ids: Map<string, number>;
}

/**
 * The vocabulary of the model and the added tokens, which may lie inside it or after it. Ids nobody names get an empty
 * text and the type `unused`.
 * @throws FormatError for an id outside `0..vocab-1` or one id with two texts.
 */
export function readVocabulary(json: JsonFields, model: JsonFields, vocab: number): Vocabulary {
  const { file } = json;
  const texts: (string | undefined)[] = [];
  const ids = new Map<string, number>();
  const check = (id: unknown, text: string): number => {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= vocab) {
      throw new FormatError(`Token ${show(text)} has the id ${show(id)}, the model has ${vocab} tokens`, {
        file,
        key: "vocab",
      });
    }
    if (texts[id] !== undefined && texts[id] !== text) {
      throw new FormatError(`The id ${id} has two texts: ${show(texts[id])} and ${show(text)}`, {
        file,
        key: "vocab",
      });
    }
    return id;
  };
  const entries = model.object("vocab");
  if (!entries) throw new FormatError("The tokenizer has no vocabulary", { file, key: "model.vocab" });
  const put = (id: number, text: string) => {
    texts[id] = text;
    ids.set(text, id);
  };
  for (const [text, id] of Object.entries(entries.json)) put(check(id, text), text);
  const added: { id: number; special: boolean }[] = [];
  for (const entry of json.array("added_tokens") ?? []) {
    if (!isObject(entry) || typeof entry.content !== "string") {
      throw new FormatError("An added token has no text", { file, key: "added_tokens" });
    }
    const id = check(entry.id, entry.content);
    put(id, entry.content);
    added.push({ id, special: entry.special === true });
  }
  const types = new Int32Array(texts.length).fill(TokenType.normal);
  const tokens = Array.from(texts, (text, id) => {
    if (text === undefined) types[id] = TokenType.unused;
    else if (/^<0x[0-9A-F]{2}>$/.test(text)) types[id] = TokenType.byte;
    return text ?? "";
  });
  for (const { id, special } of added) types[id] = special ? TokenType.control : TokenType.userDefined;
  return { tokens, types, ids };
}

/** Merges as `"left right"`; newer files hold pairs instead. */
export function readBpeMerges(model: JsonFields): string[] {
  const merges = model.array("merges") ?? [];
  if (merges.length > MAX_MERGES) {
    throw new FormatError(`${merges.length} merges; at most ${MAX_MERGES} are allowed`, {
      file: model.file,
      key: "model.merges",
    });
  }
  return merges.map((merge) => {
    if (typeof merge === "string" && merge.indexOf(" ", 1) > 0) return merge;
    if (Array.isArray(merge) && merge.length === 2 && merge.every((part) => typeof part === "string" && part !== "")) {
      return `${merge[0]} ${merge[1]}`;
    }
    throw new FormatError(`A merge is ${show(merge)}`, {
      file: model.file,
      key: "model.merges",
    });
  });
}
