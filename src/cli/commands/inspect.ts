import { describeModel, type ModelDescription, type NamedToken } from "../../formats/describe.js";
import { formatBytes, formatTable, printable } from "../format.js";
import { hubOptions } from "../pull-first.js";
import type { Terminal } from "../terminal.js";

export interface InspectFlags {
  model: string;
  offline?: boolean;
  json?: boolean;
  tensors?: boolean;
}

/** `inspect`: what is in a file. Reads no weights. */
export async function inspect(terminal: Terminal, source: string | undefined, flags: InspectFlags): Promise<void> {
  const file = await terminal.interruptible((signal) =>
    terminal.host.openModel(source ?? flags.model, { signal, hub: hubOptions(flags) }),
  );
  try {
    const description = describeModel(file);
    await terminal.line(
      flags.json ? JSON.stringify(description) : asText(terminal, description, flags.tensors ?? false),
    );
  } finally {
    await file.close();
  }
}

/** The summary first; tensors only when asked for: most models have hundreds. */
function asText(terminal: Terminal, model: ModelDescription, withTensors: boolean): string {
  const { tokenizer, tensors } = model;
  const heading = (text: string) => `\n${terminal.style("bold", text)}`;
  const named = (tokens: readonly NamedToken[]) =>
    tokens.map(({ id, text }) => `${id} ${JSON.stringify(text)}`).join(", ") || "none";
  return [
    `${terminal.style("bold", model.name)} (${model.container}, ${tensors.length} tensors, ${formatBytes(model.tensorBytes)})`,
    ...model.notes.map((note) => `note: ${printable(note)}`),
    heading("Types"),
    formatTable(
      model.totals.map(({ type, tensors, values, bytes }) => [
        type,
        `${tensors} tensors`,
        `${values} values`,
        formatBytes(bytes),
        `${((bytes * 8) / values).toFixed(2)} bits per value`,
      ]),
      [1, 2, 3, 4],
    ),
    heading("Model"),
    formatTable([
      ...Object.entries(model.config).map(([key, value]): [string, string] => [key, shown(value)]),
      ["parameters", String(model.parameters)],
      ["head", model.tiedHead ? "the embedding" : "of its own"],
    ]),
    heading("Tokenizer"),
    formatTable([
      ["kind", tokenizer.kind],
      ["pre-tokenizer", shown(tokenizer.pre ?? tokenizer.pattern ?? "none named")],
      ["tokens", String(tokenizer.tokens)],
      ["merges", String(tokenizer.merges)],
      ["begin of text", `${named(tokenizer.bos ? [tokenizer.bos] : [])}${tokenizer.addBos ? ", put in front" : ""}`],
      ["end", named(tokenizer.ends)],
      ["chat template", tokenizer.chatTemplate ? `${tokenizer.chatTemplate.length} characters` : "none"],
    ]),
    heading("Metadata"),
    formatTable(Object.entries(model.metadata).map(([key, value]) => [printable(key), shown(value)])),
    ...(withTensors
      ? [
          heading("Tensors"),
          formatTable(
            tensors.map(({ name, type, shape, bytes, i2sLayout }) => [
              printable(name),
              i2sLayout ? `${type} (${i2sLayout})` : type,
              `[${shape.join(", ")}]`,
              formatBytes(bytes),
            ]),
            [3],
          ),
        ]
      : [`\n${tensors.length} tensors: --tensors lists them.`]),
  ].join("\n");
}

/** One line for a value of the metadata. */
function shown(value: unknown): string {
  const line = printable((typeof value === "string" ? value : JSON.stringify(value)).replace(/\s+/g, " "));
  return line.length > 100 ? `${line.slice(0, 100)}… (${line.length} characters)` : line;
}
