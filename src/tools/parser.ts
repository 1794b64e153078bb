import type { Piece } from "../types/results.js";
import type { ToolFormat } from "./formats.js";
import { type CallReader, JsonCall } from "./json-call.js";
import { PythonCall } from "./python-call.js";

export type ToolCallDelta = NonNullable<Piece["toolCallDelta"]>;

/** What became of a stretch of an answer. */
export interface ParsedText {
  text: string;
  deltas: ToolCallDelta[];
}

/**
 * Separates an answer, while it is written, into text and calls of tools. Text that may be the beginning of a call is
 * held back until that is clear.
 */
export class ToolParser {
  /** Calls that have begun. */
  count = 0;
  readonly #format: ToolFormat;
  readonly #idOf: (index: number) => string;
  #mode: "text" | "calls" = "text";
  #held = "";
  #call: JsonCall | PythonCall | undefined;
  /** What stood since the last call, while its end is looked for. */
  #after = "";
  #anything = false;
  #out: ParsedText = { text: "", deltas: [] };

  /** @param idOf makes up the id of a call from its index */
  constructor(format: ToolFormat, idOf: (index: number) => string) {
    this.#format = format;
    this.#idOf = idOf;
  }

  push(text: string): ParsedText {
    this.#out = { text: "", deltas: [] };
    for (const character of text) {
      if (this.#mode === "text") this.#inText(character);
      else this.#inCalls(character);
    }
    return this.#out;
  }

  /** A call has begun and is not complete. */
  get open(): boolean {
    return this.#call !== undefined;
  }

  /** What was held back, at the end of the answer. */
  flush(): ParsedText {
    const text = this.#mode === "text" ? this.#held : "";
    this.#held = "";
    return { text, deltas: [] };
  }

  #inText(character: string): void {
    this.#held += character;
    if (this.#format.open === "") {
      this.#atStart();
      return;
    }
    const open = this.#format.open.trimEnd();
    if (this.#held.endsWith(open)) {
      // White space before calls is not a text of its own.
      this.#write(this.#held.slice(0, -open.length).trimEnd());
      this.#enter();
      return;
    }
    let keep = Math.min(this.#held.length, open.length - 1);
    while (keep > 0 && !open.startsWith(this.#held.slice(-keep))) keep--;
    const free = this.#held.slice(0, this.#held.length - keep).trimEnd();
    this.#write(free);
    this.#held = this.#held.slice(free.length);
  }

  /** Calls without a mark are the whole answer: its beginning decides. */
  #atStart(): void {
    const begins = /^\s*(<\|python_tag\|>)?\s*\{\s*"name"\s*:/;
    if (!this.#anything && begins.test(this.#held)) {
      const object = this.#held.slice(this.#held.indexOf("{"));
      this.#enter();
      for (const each of object) this.#inCalls(each);
      return;
    }
    const possible =
      /^\s*(<(\|(p(y(t(h(o(n(_(t(a(g(\|>?)?)?)?)?)?)?)?)?)?)?)?)?)?(>\s*)?(\{\s*("(n(a(m(e("\s*)?)?)?)?)?)?)?$/;
    if (!this.#anything && possible.test(this.#held)) return;
    this.#write(this.#held);
    this.#held = "";
  }

  #write(text: string): void {
    this.#out.text += text;
    this.#anything ||= text !== "";
  }

  #enter(): void {
    this.#mode = "calls";
    this.#held = "";
    this.#after = "";
    this.#call = undefined;
  }

  #inCalls(character: string): void {
    if (!this.#call) {
      const { calls, close, list } = this.#format;
      const begins = calls === "json" ? character === "{" : /[A-Za-z_]/.test(character);
      // The characters of a closing mark are no name of a call.
      const mark = this.#after.slice(this.#after.lastIndexOf("<") >>> 0);
      if (begins && !(mark && close.startsWith(mark + character))) this.#call = this.#newCall();
      else {
        this.#after += character;
        const ended = close === "" ? list && character === "]" : this.#after.endsWith(close);
        if (ended) this.#mode = "text";
        return;
      }
    }
    this.#call.push(character);
    if (this.#call.done) {
      this.#call = undefined;
      this.#after = "";
    }
  }

  #newCall(): JsonCall | PythonCall {
    const index = this.count++;
    const add = (change: Omit<ToolCallDelta, "index">) => this.#out.deltas.push({ index, ...change });
    const reader: CallReader = {
      name: (name) => add({ id: this.#idOf(index), name }),
      arguments: (text) => {
        const last = this.#out.deltas.at(-1);
        if (last?.index === index) last.arguments = (last.arguments ?? "") + text;
        else add({ arguments: text });
      },
    };
    return this.#format.calls === "json" ? new JsonCall(reader) : new PythonCall(reader);
  }
}
