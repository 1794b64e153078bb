import { FormatError, SourceError } from "../../errors.js";
import type { ModelConfig } from "../../model/config.js";
import { Catalogue } from "../catalogue.js";
import { checkConfig } from "../check-config.js";
import type { ModelFolder } from "../folder.js";
import { isObject, type JsonFields, readJsonObject } from "../json.js";
import { type ModelFile, type TokenizerData, TokenType } from "../model-file.js";
import type { OpenOptions } from "../options.js";
import type { ByteSource } from "../source.js";
import { endTokens } from "../special-tokens.js";
import { suggestedSampling } from "../suggested-sampling.js";
import { readHuggingFaceConfig } from "./config.js";
import { readQuantisation } from "./quantisation.js";
import { headName, readHuggingFaceTensors, textPrefix } from "./tensors.js";
import { readTokenizerJson } from "./tokenizer.js";
import { openWeights } from "./weights.js";

/** Bytes of config.json and other small JSON files. */
const MAX_CONFIG_BYTES = 4 * 2 ** 20;
/** Bytes of tokenizer.json: Llama 3's has 9 to 17 MB, vocabularies of 256k tokens some 35 MB. */
const MAX_TOKENIZER_BYTES = 128 * 2 ** 20;

/**
 * Reads a Hugging Face folder and describes the model in it: config.json, generation_config.json, tokenizer.json,
 * tokenizer_config.json, chat_template.jinja, and safetensors weights, whole or in shards.
 * @param single Name of the weights file, when the caller named one.
 */
export async function openHuggingFace(
  folder: ModelFolder,
  options: OpenOptions,
  single?: string | undefined,
): Promise<ModelFile> {
  const { signal } = options;
  const files = await readFiles(folder, signal);
  const { config: configJson, generation } = files;
  if (!configJson) {
    throw new SourceError(
      "There is no config.json beside the weights",
      { file: folder.name },
      "Name a GGUF file or a complete Hugging Face folder",
    );
  }
  const notes: string[] = [];
  const { config, architecture } = readHuggingFaceConfig(configJson, folder.name.split(/[/\\]/).pop() ?? folder.name);
  let quantisation = readQuantisation(configJson);
  const tokenizer = readTokenizer(files, config.vocab, notes);
  const sources: ByteSource[] = [];
  const close = async () => {
    await Promise.all(sources.map((source) => source.close?.()));
  };
  try {
    const weights = await openWeights(folder, sources, single, signal);
    const catalogue = new Catalogue(folder.name, weights.tensors);
    if (!quantisation && architecture.ternary) {
      quantisation = { scaleIs: "factor", mode: "online", excluded: [] };
      notes.push("config.json has no quantization_config: the weights are taken as masters and made ternary at load");
    }
    setHeadDim(config, configJson, catalogue);
    const tied = isTied(configJson, architecture.huggingFace.tied, catalogue, notes);
    const tensors = await readHuggingFaceTensors(catalogue, architecture, config, quantisation, tied, signal);
    const unused = [...catalogue.leftOver(), ...weights.skipped].map((tensor) => tensor.name);
    if (unused.length) notes.push(`${unused.length} tensors are not used: ${unused.slice(0, 20).join(", ")}`);
    const metadata = new Map<string, unknown>([["config.json", configJson.json]]);
    if (generation) metadata.set("generation_config.json", generation.json);
    if (files.tokenizerConfig) metadata.set("tokenizer_config.json", files.tokenizerConfig.json);
    if (weights.index) metadata.set("model.safetensors.index.json", weights.index.get("metadata") ?? {});
    return {
      container: "safetensors",
      name: folder.name,
      config,
      tensors,
      tokenizer,
      sampling: suggestedSampling("safetensors", (key) => generation?.get(key)),
      metadata,
      allTensors: weights.tensors,
      notes,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface FolderFiles {
  config?: JsonFields | undefined;
  generation?: JsonFields | undefined;
  tokenizer?: JsonFields | undefined;
  tokenizerConfig?: JsonFields | undefined;
  chatTemplate?: string | undefined;
}

async function readFiles(folder: ModelFolder, signal: AbortSignal | undefined): Promise<FolderFiles> {
  const json = async (file: string, limit: number) => {
    const source = await folder.open(file, signal);
    return source && readJsonObject(source, limit, signal);
  };
  const config = await json("config.json", MAX_CONFIG_BYTES);
  if (!config) return {};
  return {
    config,
    generation: await json("generation_config.json", MAX_CONFIG_BYTES),
    tokenizer: await json("tokenizer.json", MAX_TOKENIZER_BYTES),
    tokenizerConfig: await json("tokenizer_config.json", MAX_TOKENIZER_BYTES),
    chatTemplate: await readText(folder, "chat_template.jinja", signal),
  };
}

async function readText(folder: ModelFolder, file: string, signal?: AbortSignal): Promise<string | undefined> {
  const source = await folder.open(file, signal);
  if (!source) return undefined;
  try {
    if (source.size > MAX_CONFIG_BYTES)
      throw new FormatError(`${source.size} bytes of template`, { file: source.name });
    return new TextDecoder().decode(await source.read(0, source.size, signal));
  } finally {
    await source.close?.();
  }
}

/** Where config.json is silent about the width of heads, their norm tells it. */
function setHeadDim(config: ModelConfig, json: JsonFields, catalogue: Catalogue): void {
  if ((json.object("text_config") ?? json).number("head_dim") !== undefined) return;
  const norm = catalogue.peek(`${textPrefix(catalogue)}layers.0.self_attn.q_norm.weight`);
  const headDim = norm?.shape[0];
  if (headDim !== undefined) checkConfig(Object.assign(config, { headDim }), json.file);
}

/** Classes that say untied when the key is absent may be wrong: a file without a head cannot mean it. */
function isTied(json: JsonFields, byClass: boolean | undefined, catalogue: Catalogue, notes: string[]): boolean {
  const stated =
    json.boolean("tie_word_embeddings") ?? json.object("text_config")?.boolean("tie_word_embeddings") ?? byClass;
  const hasHead = catalogue.has(headName(textPrefix(catalogue)));
  // Saved without its head, as models for embeddings are.
  const bare = catalogue.has("embed_tokens.weight") && !hasHead;
  if (stated !== undefined && !bare) return stated;
  if (hasHead) return false;
  if (!bare) notes.push("config.json does not say whether the head is the embedding; the file has no head, so it is");
  return true;
}

function readTokenizer(files: FolderFiles, vocab: number, notes: string[]): TokenizerData {
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
  const ids = { bosId, padId };
  if (!tokenizer) {
    notes.push("There is no tokenizer.json: the model can be run on token ids only");
    return { kind: "bpe", tokens: [], types: [], merges: [], eosIds: eosStated, ...ids };
  }
  const data = readTokenizerJson(tokenizer, vocab, tokenText(tokenizerConfig, "bos_token"));
  const isControl = (token: number) => data.types[token] === TokenType.control;
  // generation_config.json lists every end token; config.json often only one.
  const found = generation?.get("eos_token_id") === undefined ? endTokens(data.tokens, isControl) : [];
  return {
    ...data,
    ...ids,
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
