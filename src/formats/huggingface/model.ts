import type { ModelConfig } from "../../config.js";
import { FormatError, SourceError } from "../../errors.js";
import { Catalogue } from "../catalogue.js";
import { checkConfig } from "../check-config.js";
import type { ModelFolder } from "../folder.js";
import { type JsonFields, readJsonObject } from "../json.js";
import type { ModelFile } from "../model-file.js";
import type { OpenOptions } from "../options.js";
import type { ByteSource } from "../source.js";
import { suggestedSampling } from "../suggested-sampling.js";
import { readHuggingFaceConfig } from "./config.js";
import { readModules } from "./modules.js";
import { readQuantisation } from "./quantisation.js";
import { headName, readHuggingFaceTensors, textPrefix } from "./tensors.js";
import { type FolderFiles, readHuggingFaceTokenizer } from "./tokenizer-files.js";
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
  const tokenizer = readHuggingFaceTokenizer(files, config.vocab, notes);
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
    const modules = await readModules(folder, sources, signal);
    if (modules.pooling) config.pooling = modules.pooling;
    const tied = isTied(configJson, architecture.huggingFace.tied, catalogue, notes);
    const tensors = await readHuggingFaceTensors(catalogue, architecture, config, quantisation, tied, signal);
    [tensors.dense2, tensors.dense3] = modules.dense;
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
      allTensors: [...weights.tensors, ...modules.dense],
      notes,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
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
