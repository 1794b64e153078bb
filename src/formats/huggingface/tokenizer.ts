import { FormatError, UnsupportedError } from "../../errors.js";
import { isObject, type JsonFields } from "../json.js";
import { type TokenizerData, TokenType } from "../model-file.js";
import { show } from "../show.js";
import { readBpeMerges, readVocabulary } from "./vocabulary.js";

/** The part of TokenizerData that tokenizer.json tells; ids of special tokens come from other files. */
export type TokenizerJson = Pick<
  TokenizerData,
  | "kind"
  | "pre"
  | "pattern"
  | "ignoreMerges"
  | "normalization"
  | "stripLeft"
  | "stripRight"
  | "tokens"
  | "types"
  | "scores"
  | "merges"
  | "addBos"
  | "addEos"
  | "endId"
  | "addSpacePrefix"
  | "unknownId"
>;

/**
 * Reads tokenizer.json (Hugging Face tokenizers): byte-level BPE, or SentencePiece-like BPE with byte fallback.
 * @param vocab Rows of the embedding; no token id may lie beyond.
 * @throws UnsupportedError for other models, normalizers and pre-tokenizers, because a text split another way gives
 * other tokens.
 */
export function readTokenizerJson(json: JsonFields, vocab: number, bosText: string | undefined): TokenizerJson {
  const { file } = json;
  const model = json.object("model");
  if (!model) throw new FormatError("The tokenizer has no model", { file, key: "model" });
  const modelType = model.string("type") ?? (model.get("merges") ? "BPE" : "unknown");
  if (modelType !== "BPE") {
    throw new UnsupportedError(`Tokenizers of the type ${modelType} are not supported`, { file, key: "model.type" });
  }
  const sentencepiece = model.boolean("byte_fallback") ?? false;
  const { tokens, types, ids } = readVocabulary(json, model, vocab);
  const merges = readBpeMerges(model);
  const unknown = model.string("unk_token");
  const unknownId = unknown === undefined ? undefined : ids.get(unknown);
  if (unknownId !== undefined) types[unknownId] = TokenType.unknown;
  const { normalization, spaces, addSpacePrefix } = readNormalizer(json);
  const strips = readStrips(json);
  const common = { tokens, types, merges, unknownId, normalization, ...strips, ...readTemplate(json, bosText, ids) };
  if (sentencepiece) return { kind: "sentencepiece", ...common, addSpacePrefix };
  if (spaces)
    throw new UnsupportedError("A tokenizer of bytes with a normalizer of spaces is not supported", {
      file,
      key: "normalizer",
    });
  return { kind: "bpe", ...common, ignoreMerges: model.boolean("ignore_merges") ?? false, ...readPreTokenizer(json) };
}

/** What is done to a text first: a Unicode normalisation, spaces to U+2581, and one more in front. */
function readNormalizer(
  json: JsonFields,
): Pick<TokenizerJson, "normalization" | "addSpacePrefix"> & { spaces: boolean } {
  const steps = flatten(json.get("normalizer"), "normalizers");
  const result: ReturnType<typeof readNormalizer> = { normalization: undefined, spaces: false, addSpacePrefix: false };
  for (const step of steps) {
    if (step.type === "NFC" || step.type === "NFKC") result.normalization = step.type;
    else if (step.type === "Replace" && isObject(step.pattern) && step.pattern.String === " " && step.content === "▁")
      result.spaces = true;
    else if (step.type === "Prepend" && step.prepend === "▁") result.spaces = result.addSpacePrefix = true;
    else
      throw new UnsupportedError(`The normalizer ${typesOf(steps)} is not supported`, {
        file: json.file,
        key: "normalizer",
      });
  }
  const metaspace = flatten(json.get("pre_tokenizer"), "pretokenizers").find((step) => step.type === "Metaspace");
  if (metaspace)
    result.addSpacePrefix =
      (metaspace.prepend_scheme ?? (metaspace.add_prefix_space === false ? "never" : "always")) !== "never";
  return result;
}

/** Added tokens that take the white space before or after them along. */
function readStrips(json: JsonFields): Pick<TokenizerJson, "stripLeft" | "stripRight"> {
  const added = (json.array("added_tokens") ?? []).filter(isObject);
  const ids = (side: "lstrip" | "rstrip") =>
    added.filter((token) => token[side] === true).map(({ id }) => id as number);
  const [stripLeft, stripRight] = [ids("lstrip"), ids("rstrip")];
  return { ...(stripLeft.length > 0 && { stripLeft }), ...(stripRight.length > 0 && { stripRight }) };
}

/** Which pre-tokenizer: its name, or the regular expression when it has one of its own. */
function readPreTokenizer(json: JsonFields): { pre?: string; pattern?: string; addSpacePrefix?: boolean } {
  const steps = flatten(json.get("pre_tokenizer"), "pretokenizers");
  const place = { file: json.file, key: "pre_tokenizer" };
  const unsupported = () =>
    new UnsupportedError(`The pre-tokenizer ${typesOf(steps) || "(none)"} is not supported`, place);
  const [first, second] = steps;
  const byteLevel = steps.at(-1);
  if (!first || byteLevel?.type !== "ByteLevel" || steps.length > 2) throw unsupported();
  const addSpacePrefix = byteLevel.add_prefix_space === true;
  const usesRegex = byteLevel.use_regex !== false;
  if (!second) return usesRegex ? { pre: "gpt-2", addSpacePrefix } : fail(unsupported());
  if (first.type === "Digits" && first.individual_digits === true && usesRegex)
    return { pre: "smollm", addSpacePrefix };
  const pattern = isObject(first.pattern) ? first.pattern.Regex : undefined;
  const isolates = first.behavior === "Isolated" && first.invert !== true;
  // "Removed, inverted" keeps the matches, which for a pattern that matches everything is the same.
  const keepsMatches = first.behavior === "Removed" && first.invert === true;
  if (first.type === "Split" && typeof pattern === "string" && (isolates || keepsMatches) && !usesRegex) {
    return { pattern, addSpacePrefix };
  }
  throw unsupported();
}

/** Special tokens the template puts around one text. */
function readTemplate(
  json: JsonFields,
  bosText: string | undefined,
  ids: ReadonlyMap<string, number>,
): Pick<TokenizerJson, "addBos" | "addEos" | "endId"> {
  const template = flatten(json.get("post_processor"), "processors").find((each) => each.type === "TemplateProcessing");
  if (!template || !Array.isArray(template.single)) return {};
  const parts = template.single.map((part) => {
    if (!isObject(part)) return "";
    if (isObject(part.Sequence)) return "text";
    return isObject(part.SpecialToken) && typeof part.SpecialToken.id === "string" ? part.SpecialToken.id : "";
  });
  const text = parts.indexOf("text");
  const before = parts.slice(0, Math.max(text, 0));
  const addBos = bosText === undefined ? before.length > 0 : before.includes(bosText);
  const after = parts[text + 1];
  return { addBos, addEos: after !== undefined, ...(after !== undefined && { endId: ids.get(after) }) };
}

type Step = Record<string, unknown>;

/** A step, or the steps of a `Sequence` (nested at most a few deep in practice; deeper ones are refused as unknown). */
function flatten(value: unknown, listKey: string, depth = 0): Step[] {
  if (!isObject(value)) return [];
  const list = value[listKey];
  if (value.type !== "Sequence" || !Array.isArray(list) || depth > 4) return [value];
  return list.flatMap((each) => flatten(each, listKey, depth + 1));
}

function typesOf(steps: Step[]): string {
  return steps.map((step) => show(step.type)).join(" + ");
}

function fail(error: Error): never {
  throw error;
}
