import { Catalogue } from "../catalogue.js";
import type { ModelFile, ModelTensors, TensorInfo } from "../model-file.js";
import type { OpenOptions } from "../options.js";
import type { ByteSource } from "../source.js";
import { suggestedSampling } from "../suggested-sampling.js";
import { readGgufConfig } from "./config.js";
import { Fields } from "./fields.js";
import { readGgufHeader } from "./header.js";
import { checkI2sShape, chooseI2sLayout } from "./i2s-layout.js";
import { type Beside, readAllParts } from "./split.js";
import { readGgufTensors } from "./tensors.js";
import { readGgufTokenizer } from "./tokenizer.js";

/**
 * Reads the header of a GGUF file and describes the model in it. The caller closes `source` when this throws.
 * @param beside Where to look for the other parts of a split model.
 */
export async function openGguf(source: ByteSource, options: OpenOptions, beside?: Beside): Promise<ModelFile> {
  const { signal } = options;
  const others: ByteSource[] = [];
  const closeOthers = () => Promise.all(others.map((other) => other.close?.()));
  try {
    const header = await readGgufHeader(source, signal);
    const allTensors = await readAllParts(header, beside, others, signal);
    const fields = new Fields(header.metadata, source.name);
    const catalogue = new Catalogue(source.name, allTensors);
    const { config, architecture } = readGgufConfig(fields, catalogue.peek("token_embd.weight"));
    const tokenizer = readGgufTokenizer(fields, config.vocab);
    const notes: string[] = [];
    const tensors = await readGgufTensors(catalogue, architecture, config, signal);
    await setI2sLayout(allTensors, tensors, options, notes);
    const unused = catalogue.leftOver().map(({ name }) => name);
    if (unused.length) notes.push(`${unused.length} tensors are not used: ${unused.slice(0, 20).join(", ")}`);
    return {
      container: "gguf",
      name: source.name,
      config,
      tensors,
      tokenizer,
      sampling: suggestedSampling("gguf", (key) => header.metadata.get(key)),
      metadata: header.metadata,
      allTensors,
      notes,
      close: async () => {
        await source.close?.();
        await closeOthers();
      },
    };
  } catch (error) {
    await closeOthers();
    throw error;
  }
}

/** Layers copy the tensor descriptions of the file list, so both get the layout. */
async function setI2sLayout(
  all: TensorInfo[],
  tensors: ModelTensors,
  options: OpenOptions,
  notes: string[],
): Promise<void> {
  const chosen = options.i2sLayout
    ? { layout: options.i2sLayout, note: `I2_S layout ${options.i2sLayout}, as given` }
    : await chooseI2sLayout(tensors, options.signal);
  const inLayers = tensors.layers.flatMap((layer) => Object.values(layer) as (TensorInfo | undefined)[]);
  const ternary = [...all, ...inLayers].filter((tensor) => tensor?.type === "I2_S") as TensorInfo[];
  if (!chosen || ternary.length === 0) return;
  notes.push(chosen.note);
  for (const tensor of ternary) {
    checkI2sShape(tensor, chosen.layout);
    tensor.i2sLayout = chosen.layout;
  }
}
