import { FormatError, SourceError } from "../../errors.js";
import type { ModelFolder } from "../folder.js";
import { type JsonFields, readJsonObject } from "../json.js";
import type { TensorInfo, TensorType } from "../model-file.js";
import { readSafetensorsHeader, type StoredTensor } from "../safetensors/header.js";
import { show } from "../show.js";
import type { ByteSource } from "../source.js";

/** Bytes of model.safetensors.index.json: some 100 bytes per tensor. */
const MAX_INDEX_BYTES = 32 * 2 ** 20;
/** Files a sharded model may have. The largest published ones have some 200. */
const MAX_SHARDS = 1024;

/** dtypes that become tensors; U8 is only ever packed ternary here. */
const tensorTypes: ReadonlyMap<string, TensorType> = new Map([
  ["F32", "F32"],
  ["F16", "F16"],
  ["BF16", "BF16"],
  ["U8", "HF_BITNET_U8"],
]);

/** The weights of a folder: one model.safetensors, or the shards its index names. */
export interface FolderWeights {
  sources: ByteSource[];
  tensors: TensorInfo[];
  /** Tensors of dtypes that are not supported. */
  skipped: StoredTensor[];
  index?: JsonFields | undefined;
}

/**
 * Opens the weight files of a folder and reads their headers. Everything opened is in `sources`, also when this throws.
 * @param single Name of a weights file to use instead of looking for one.
 */
export async function openWeights(
  folder: ModelFolder,
  sources: ByteSource[],
  single: string | undefined,
  signal: AbortSignal | undefined,
): Promise<FolderWeights> {
  const weights: FolderWeights = { sources, tensors: [], skipped: [] };
  const whole = single ?? "model.safetensors";
  const wholeSource = await folder.open(whole, signal);
  if (wholeSource) {
    sources.push(wholeSource);
    addTensors(weights, (await readSafetensorsHeader(wholeSource, signal)).tensors, wholeSource);
    return weights;
  }
  const indexSource = single ? undefined : await folder.open("model.safetensors.index.json", signal);
  if (!indexSource) {
    throw new SourceError(
      `The folder has neither ${whole} nor model.safetensors.index.json`,
      { file: folder.name },
      "Only safetensors weights are read, not pytorch_model.bin",
    );
  }
  const index = await readJsonObject(indexSource, MAX_INDEX_BYTES, signal);
  weights.index = index;
  for (const [file, names] of shardsOf(index)) {
    const source = await folder.open(file, signal);
    if (!source) throw new SourceError(`The shard ${file} is missing`, { file: folder.name });
    sources.push(source);
    const { tensors } = await readSafetensorsHeader(source, signal);
    const here = new Set(tensors.map((tensor) => tensor.name));
    const missing = names.find((name) => !here.has(name));
    if (missing !== undefined) {
      throw new FormatError("The index says the tensor is here; it is not", { file: source.name, tensor: missing });
    }
    const wanted = new Set(names);
    addTensors(
      weights,
      tensors.filter((tensor) => wanted.has(tensor.name)),
      source,
    );
  }
  return weights;
}

function shardsOf(index: JsonFields): Map<string, string[]> {
  const map = index.object("weight_map");
  if (!map) throw new FormatError("The index has no weight_map", { file: index.file });
  const shards = new Map<string, string[]>();
  for (const [tensor, file] of Object.entries(map.json)) {
    // A file of the folder itself: a path could lead anywhere.
    if (typeof file !== "string" || !/^[\w.-]+\.safetensors$/.test(file)) {
      throw new FormatError(`${show(file)} is not the name of a weights file`, { file: index.file, tensor });
    }
    const names = shards.get(file) ?? [];
    names.push(tensor);
    shards.set(file, names);
  }
  if (shards.size > MAX_SHARDS) throw new FormatError(`The index names ${shards.size} files`, { file: index.file });
  return new Map([...shards].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function addTensors(weights: FolderWeights, stored: StoredTensor[], source: ByteSource): void {
  for (const tensor of stored) {
    const type = tensorTypes.get(tensor.dtype);
    if (!type) {
      weights.skipped.push(tensor);
      continue;
    }
    const { name, offset, byteLength } = tensor;
    const [rows, columns] = tensor.shape;
    // One byte holds the values of four rows (transformers integrations/bitnet.py `pack_weights`).
    const isPacked = type === "HF_BITNET_U8" && tensor.shape.length === 2;
    const shape = isPacked ? [4 * (rows as number), columns as number] : tensor.shape;
    weights.tensors.push({ name, type, shape, source, offset, byteLength });
  }
}
