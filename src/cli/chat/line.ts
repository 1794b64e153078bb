import { graphemes } from "./width.js";

/** The text that is being typed, and where the cursor is in it. Moves by what a reader takes for characters. */
export class Line {
  text = "";
  /** Place of the cursor in UTF-16 units, between graphemes. */
  cursor = 0;
  #killed = "";

  set(text: string): void {
    this.text = text;
    this.cursor = text.length;
  }

  insert(text: string): void {
    this.text = this.text.slice(0, this.cursor) + text + this.text.slice(this.cursor);
    this.cursor += text.length;
  }

  /** Does what a key says; false if the key means nothing here. */
  press(name: string): boolean {
    const action = actions[name];
    if (!action) return false;
    action(this);
    return true;
  }

  /** To the line above or below; false where there is none. */
  vertical(step: -1 | 1): boolean {
    const start = this.start;
    const column = graphemes(this.text.slice(start, this.cursor)).length;
    if (step < 0 && start === 0) return false;
    if (step > 0 && this.end === this.text.length) return false;
    this.cursor = step < 0 ? start - 1 : this.end + 1;
    const line = graphemes(this.text.slice(this.start, this.end));
    this.cursor = this.start + line.slice(0, column).join("").length;
    return true;
  }

  /** Where the cursor's line begins. */
  get start(): number {
    return this.text.lastIndexOf("\n", this.cursor - 1) + 1;
  }

  /** Where the cursor's line ends. */
  get end(): number {
    const end = this.text.indexOf("\n", this.cursor);
    return end < 0 ? this.text.length : end;
  }

  before(): number {
    return this.cursor - (graphemes(this.text.slice(0, this.cursor)).at(-1)?.length ?? 0);
  }

  after(): number {
    return this.cursor + (graphemes(this.text.slice(this.cursor))[0]?.length ?? 0);
  }

  wordAfter(): number {
    const [word = ""] = /^[^\p{L}\p{N}\p{M}_]*[\p{L}\p{N}\p{M}_]*/u.exec(this.text.slice(this.cursor)) ?? [];
    return this.cursor + word.length;
  }

  /** Takes the text between two places out; `keep` for `yank`. */
  remove(from: number, to: number, keep = false): void {
    if (keep && from < to) this.#killed = this.text.slice(from, to);
    this.text = this.text.slice(0, from) + this.text.slice(to);
    this.cursor = from;
  }

  yank(): void {
    this.insert(this.#killed);
  }
}

function wordBackwards(line: Line): void {
  let at = line.cursor;
  const letter = (place: number) => /[\p{L}\p{N}\p{M}_\ud800-\udfff]/u.test(line.text[place] ?? "");
  while (at > 0 && !letter(at - 1)) at--;
  while (at > 0 && letter(at - 1)) at--;
  line.cursor = at;
}

const removeWord = (line: Line) => {
  const to = line.cursor;
  wordBackwards(line);
  line.remove(line.cursor, to, true);
};

const actions: Record<string, (line: Line) => void> = {
  left: (line) => {
    line.cursor = line.before();
  },
  right: (line) => {
    line.cursor = line.after();
  },
  home: (line) => {
    line.cursor = line.start;
  },
  end: (line) => {
    line.cursor = line.end;
  },
  backspace: (line) => line.remove(line.before(), line.cursor),
  delete: (line) => {
    const at = line.cursor;
    line.remove(at, line.after());
  },
  newline: (line) => line.insert("\n"),
  "ctrl-left": wordBackwards,
  "ctrl-right": (line) => {
    line.cursor = line.wordAfter();
  },
  "ctrl-k": (line) => line.remove(line.cursor, line.end === line.cursor ? line.after() : line.end, true),
  "ctrl-u": (line) => line.remove(line.start, line.cursor, true),
  "ctrl-w": removeWord,
  "ctrl-y": (line) => line.yank(),
  "alt-backspace": removeWord,
  "alt-d": (line) => {
    line.remove(line.cursor, line.wordAfter(), true);
  },
};
for (const [other, name] of [
  ["ctrl-b", "left"],
  ["ctrl-f", "right"],
  ["ctrl-a", "home"],
  ["ctrl-e", "end"],
  ["alt-b", "ctrl-left"],
  ["alt-f", "ctrl-right"],
] as const)
  actions[other] = actions[name] as (line: Line) => void;
