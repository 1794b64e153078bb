/** What was typed: text, a paste, or a key by its name (`enter`, `left`, `ctrl-c`, `alt-b`, …). */
export type Key = { kind: "text" | "paste"; text: string } | { kind: "key"; name: string };

const PASTE_START = "\x1b[200~";
const PASTE_END = "\x1b[201~";
const finals: Record<string, string> = { A: "up", B: "down", C: "right", D: "left", H: "home", F: "end" };
const numbers: Record<string, string> = { 1: "home", 3: "delete", 4: "end", 7: "home", 8: "end" };
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
const csi = /^\x1b\[([0-?]*)[ -/]*([@-~])/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above
const unfinished = /^\x1b(?:\[[0-?]*[ -/]*|O)?$/;

/** Turns what a terminal in raw mode sends into keys; sequences may be cut anywhere. */
export class KeyDecoder {
  #rest = "";
  /** The pieces of a paste that goes on; undefined outside of one. */
  #paste: string | undefined;

  push(text: string): Key[] {
    const keys: Key[] = [];
    let rest = this.#rest + text;
    this.#rest = "";
    while (rest !== "") {
      if (this.#paste !== undefined) {
        const end = rest.indexOf(PASTE_END);
        if (end < 0) {
          // The end mark may be cut.
          const kept = Math.max(0, rest.length - PASTE_END.length + 1);
          this.#paste += rest.slice(0, kept);
          this.#rest = rest.slice(kept);
          break;
        }
        keys.push({ kind: "paste", text: this.#paste + rest.slice(0, end) });
        this.#paste = undefined;
        rest = rest.slice(end + PASTE_END.length);
      } else if (rest.startsWith(PASTE_START)) {
        this.#paste = "";
        rest = rest.slice(PASTE_START.length);
      } else if (unfinished.test(rest)) {
        this.#rest = rest;
        break;
      } else rest = rest.slice(this.#one(rest, keys));
    }
    return keys;
  }

  /** Decodes one key or run of text at the beginning; returns its length. */
  #one(rest: string, keys: Key[]): number {
    const key = (name: string | undefined, length: number): number => {
      if (name) keys.push({ kind: "key", name });
      return length;
    };
    const [sequence, parameters = "", final = ""] = csi.exec(rest) ?? [];
    if (sequence) return key(csiName(parameters, final), sequence.length);
    if (rest.startsWith("\x1bO")) return key(finals[rest[2] as string], 3);
    if (rest.startsWith("\x1b\x1b")) return 1;
    if (rest.startsWith("\x1b")) {
      const code = rest.charCodeAt(1);
      if (code === 13 || code === 10) return key("newline", 2);
      return key(code === 127 || code === 8 ? "alt-backspace" : `alt-${rest[1]}`, 2);
    }
    const code = rest.charCodeAt(0);
    if (code === 13) return key("enter", 1);
    if (code === 10) return key("newline", 1);
    if (code === 9) return key("tab", 1);
    if (code === 127 || code === 8) return key("backspace", 1);
    if (code < 32) return key(`ctrl-${String.fromCharCode(code + 96)}`, 1);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: text ends where one begins
    const [run = ""] = /^[^\x00-\x1f\x7f]+/.exec(rest) ?? [];
    keys.push({ kind: "text", text: run });
    return run.length;
  }
}

function csiName(parameters: string, final: string): string | undefined {
  const [first = "", modifier = ""] = parameters.split(";");
  const strong = modifier === "3" || modifier === "5" ? "ctrl-" : "";
  if (final === "~") return numbers[first];
  // Enter with Shift, Alt or Ctrl, where the terminal tells.
  if (final === "u") return first === "13" ? (modifier ? "newline" : "enter") : undefined;
  const name = finals[final];
  return name && (name === "left" || name === "right") ? strong + name : name;
}
