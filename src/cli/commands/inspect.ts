import type { ModelFile, TensorInfo } from "../../formats/model-file.js";
import { formatBytes, formatTable, printable } from "../format.js";
import type { Terminal } from "../terminal.js";

export interface InspectFlags {
  model: string;
  json?: boolean;
}

/** `inspect`: what is in a file. Reads no weights. */
export async function inspect(terminal: Terminal, source: string | undefined, flags: InspectFlags): Promise<void> {
  const file = await terminal.interruptible((signal) => terminal.host.openModel(source ?? flags.model, signal));
  try {
    if (flags.json) await terminal.line(JSON.stringify(asJson(file), plainNumbers));
    else await terminal.line(asText(terminal, file));
  } finally {
    await file.close();
  }
}

function asJson(file: ModelFile) {
  const { tokenizer } = file;
  return {
    name: file.name,
    container: file.container,
    config: file.config,
    tokenizer: {
      ...tokenizer,
      tokens: tokenizer.tokens.length,
      merges: tokenizer.merges.length,
      types: tokenizer.types.length,
      scores: tokenizer.scores?.length,
    },
    notes: file.notes,
    totals: totals(file.allTensors),
    tensors: file.allTensors.map(({ name, type, shape, offset, byteLength, source, i2sLayout }) => ({
      name,
      type,
      shape,
      offset,
      bytes: byteLength,
      file: source.name,
      i2sLayout,
    })),
    metadata: Object.fromEntries([...file.metadata].map(([key, value]) => [key, shortened(value)])),
  };
}

function totals(tensors: readonly TensorInfo[]): { type: string; tensors: number; values: number; bytes: number }[] {
  const byType = new Map<string, { type: string; tensors: number; values: number; bytes: number }>();
  for (const { type, shape, byteLength } of tensors) {
    const total = byType.get(type) ?? { type, tensors: 0, values: 0, bytes: 0 };
    total.tensors++;
    total.values += shape.reduce((product, size) => product * size, 1);
    total.bytes += byteLength;
    byType.set(type, total);
  }
  return [...byType.values()].sort((a, b) => b.bytes - a.bytes);
}

function asText(terminal: Terminal, file: ModelFile): string {
  const { tokenizer, allTensors } = file;
  const heading = (text: string) => `\n${terminal.style("bold", text)}`;
  const ids = (list: readonly (number | undefined)[]) =>
    list
      .filter((id) => id !== undefined)
      .map((id) => `${id} ${JSON.stringify(tokenizer.tokens[id] ?? "")}`)
      .join(", ") || "none";
  const bytes = allTensors.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return [
    `${terminal.style("bold", file.name)} (${file.container}, ${allTensors.length} tensors, ${formatBytes(bytes)})`,
    ...file.notes.map((note) => `note: ${printable(note)}`),
    heading("Model"),
    formatTable(Object.entries(file.config).map(([key, value]) => [key, shown(value)])),
    heading("Tokenizer"),
    formatTable([
      ["kind", tokenizer.kind],
      ["pre-tokenizer", shown(tokenizer.pre ?? tokenizer.pattern ?? "none named")],
      ["tokens", String(tokenizer.tokens.length)],
      ["merges", String(tokenizer.merges.length)],
      ["begin of text", `${ids([tokenizer.bosId])}${tokenizer.addBos ? ", put in front" : ""}`],
      ["end", ids(tokenizer.eosIds)],
      ["chat template", tokenizer.chatTemplate ? `${tokenizer.chatTemplate.length} characters` : "none"],
    ]),
    heading("Metadata"),
    formatTable([...file.metadata].map(([key, value]) => [printable(key), shown(value)])),
    heading("Tensors"),
    formatTable(
      allTensors.map(({ name, type, shape, byteLength, i2sLayout }) => [
        printable(name),
        i2sLayout ? `${type} (${i2sLayout})` : type,
        `[${shape.join(", ")}]`,
        formatBytes(byteLength),
      ]),
      [3],
    ),
    heading("Totals"),
    formatTable(
      totals(allTensors).map((total) => [
        total.type,
        `${total.tensors} tensors`,
        `${total.values} values`,
        formatBytes(total.bytes),
        `${((total.bytes * 8) / total.values).toFixed(2)} bits per value`,
      ]),
      [1, 2, 3, 4],
    ),
  ].join("\n");
}

/** One line for a value of the metadata. */
function shown(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(shortened(value), plainNumbers) ?? "");
  const line = printable(text.replace(/\s+/g, " "));
  return line.length > 100 ? `${line.slice(0, 100)}… (${line.length} characters)` : line;
}

/** Long lists, such as vocabularies, by their first entries and length. */
function shortened(value: unknown): unknown {
  if (!Array.isArray(value) && !(ArrayBuffer.isView(value) && "length" in value)) return value;
  const list = value as ArrayLike<unknown>;
  const shown = Array.from({ length: Math.min(list.length, 8) }, (_, i) => list[i]);
  return list.length > 8 ? [...shown, `… ${list.length} in all`] : shown;
}

function plainNumbers(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? Number(value) : value;
}
