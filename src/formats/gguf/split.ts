import { FormatError, SourceError, UnsupportedError } from "../../errors.js";
import type { ModelFolder } from "../folder.js";
import type { TensorInfo } from "../model-file.js";
import type { ByteSource } from "../source.js";
import { Fields } from "./fields.js";
import { type GgufHeader, readGgufHeader } from "./header.js";

/** Parts of one model. The largest published ones have some 100. */
const MAX_PARTS = 1024;

/** Where a file's siblings are. */
export interface Beside {
  folder: ModelFolder;
  /** Name of the file itself. */
  file: string;
}

/**
 * Reads the other parts of a model that llama.cpp's gguf-split has cut (`name-00001-of-00003.gguf`): the first part has
 * the metadata, each has some of the tensors. A file that is no part gives its own tensors.
 * @param sources Gets every source opened, also when this throws.
 */
export async function readAllParts(
  first: GgufHeader,
  beside: Beside | undefined,
  sources: ByteSource[],
  signal: AbortSignal | undefined,
): Promise<TensorInfo[]> {
  const file = first.source.name;
  const fields = new Fields(first.metadata, file);
  const count = fields.number("split.count") ?? 1;
  if (count <= 1) return first.tensors;
  if (!Number.isInteger(count) || count > MAX_PARTS) {
    throw new FormatError(`The model has ${count} parts`, { file, key: "split.count" });
  }
  const number = fields.number("split.no");
  if (number !== 0) {
    throw new UnsupportedError(
      `This is part ${(number ?? 0) + 1} of ${count}`,
      { file, key: "split.no" },
      "Name the first part (…-00001-of-…); the others are found beside it",
    );
  }
  const pattern = /-00001-of-(\d{5})\.gguf$/;
  if (!beside || Number(beside.file.match(pattern)?.[1]) !== count) {
    throw new UnsupportedError(
      `This is the first of ${count} parts, and where the others are is not known`,
      { file, key: "split.count" },
      "Open the parts by path or URL, under their original names",
    );
  }
  const tensors = [...first.tensors];
  const names = new Set(tensors.map(({ name }) => name));
  for (let i = 1; i < count; i++) {
    const name = beside.file.replace(pattern, `-${String(i + 1).padStart(5, "0")}-of-$1.gguf`);
    const source = await beside.folder.open(name, signal);
    if (!source)
      throw new SourceError(`Part ${i + 1} of ${count} is missing`, { file: `${beside.folder.name}/${name}` });
    sources.push(source);
    const part = await readGgufHeader(source, signal);
    const partNumber = new Fields(part.metadata, source.name).number("split.no");
    if (partNumber !== i) {
      throw new FormatError(`The file says it is part ${partNumber}`, { file: source.name, key: "split.no" });
    }
    for (const tensor of part.tensors) {
      if (names.has(tensor.name)) {
        throw new FormatError("The tensor is in two parts", { file: source.name, tensor: tensor.name });
      }
      names.add(tensor.name);
      tensors.push(tensor);
    }
  }
  const total = fields.number("split.tensors.count");
  if (total !== undefined && total !== tensors.length) {
    throw new FormatError(`The parts have ${tensors.length} tensors together, not ${total}`, {
      file,
      key: "split.tensors.count",
    });
  }
  return tensors;
}
