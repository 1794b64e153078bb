import type { CallReader } from "./json-call.js";

/** Reads one call `name(key="value", other=[1, None])` character by character; its arguments become JSON. */
export class PythonCall {
  done = false;
  readonly #reader: CallReader;
  #phase: "name" | "key" | "value" = "name";
  #text = "";
  #key = "";
  #count = 0;
  #depth = 0;
  #quote = "";
  #escaped = false;

  constructor(reader: CallReader) {
    this.#reader = reader;
  }

  push(character: string): void {
    if (this.#phase === "name") {
      if (character === "(") {
        this.#reader.name(this.#text.trim());
        this.#text = "";
        this.#phase = "key";
      } else this.#text += character;
      return;
    }
    if (this.#phase === "key") {
      if (character === ")") this.#end();
      else if (character === "=") {
        this.#key = this.#text.trim();
        this.#text = "";
        this.#phase = "value";
      } else if (character !== ",") this.#text += character;
      return;
    }
    if (this.#quote) {
      this.#text += character;
      if (this.#escaped) this.#escaped = false;
      else if (character === "\\") this.#escaped = true;
      else if (character === this.#quote) this.#quote = "";
      return;
    }
    if (this.#depth === 0 && (character === "," || character === ")")) {
      this.#argument();
      if (character === ")") this.#end();
      return;
    }
    this.#text += character;
    if (character === '"' || character === "'") this.#quote = character;
    else if (/[([{]/.test(character)) this.#depth++;
    else if (/[)\]}]/.test(character)) this.#depth--;
  }

  #argument(): void {
    const start = this.#count++ === 0 ? "{" : ", ";
    this.#reader.arguments(`${start}${JSON.stringify(this.#key)}: ${jsonOf(this.#text.trim())}`);
    this.#text = "";
    this.#phase = "key";
  }

  #end(): void {
    this.#reader.arguments(this.#count === 0 ? "{}" : "}");
    this.done = true;
  }
}

/** A literal of Python as JSON. */
export function jsonOf(literal: string): string {
  const words: Record<string, string> = { True: "true", False: "false", None: "null" };
  return literal.replace(
    /"(?:[^"\\]|\\.)*"|'((?:[^'\\]|\\.)*)'|\b(?:True|False|None)\b/gs,
    (text, single: string | undefined) => {
      if (single !== undefined)
        return `"${single.replace(/\\'/g, "'").replace(/(\\.)|"/gs, (quote, escaped) => escaped ?? `\\${quote}`)}"`;
      return words[text] ?? text;
    },
  );
}
