import { Catalogue } from "../catalogue.js";
import type { ModelFile } from "../model-file.js";
import type { OpenOptions } from "../options.js";
import type { ByteSource } from "../source.js";
import { readGgufConfig } from "./config.js";
import { Fields } from "./fields.js";
import { readGgufHeader } from "./header.js";
import { readGgufTensors } from "./tensors.js";
import { readGgufTokenizer } from "./tokenizer.js";

/** Reads the header of a GGUF file and describes the model in it. The caller closes `source` when this throws. */
export async function openGguf(source: ByteSource, options: OpenOptions): Promise<ModelFile> {
  const { signal } = options;
  const header = await readGgufHeader(source, signal);
  const fields = new Fields(header.metadata, source.name);
  const catalogue = new Catalogue(source.name, header.tensors);
  const config = readGgufConfig(fields, catalogue.peek("token_embd.weight"));
  const tokenizer = readGgufTokenizer(fields, config.vocab);
  const notes: string[] = [];
  for (const tensor of header.tensors) if (tensor.type === "I2_S") tensor.i2sLayout = options.i2sLayout ?? "block128";
  const tensors = await readGgufTensors(catalogue, config, signal);
  const unused = catalogue.leftOver();
  if (unused.length) notes.push(`${unused.length} tensors are not used: ${unused.map((t) => t.name).join(", ")}`);
  return {
    container: "gguf",
    name: source.name,
    config,
    tensors,
    tokenizer,
    metadata: header.metadata,
    allTensors: header.tensors,
    notes,
    close: async () => source.close?.(),
  };
}
