import { graphemes, textWidth, width } from "./width.js";

/**
 * Breaks text that arrives in pieces at words, so that none is cut by the edge of the terminal. A word is held back until
 * it has ended; wide characters (Chinese, Japanese, Korean, emoji) are words of their own.
 */
export class WordWrap {
  readonly #columns: () => number;
  #column = 0;
  #word = "";
  /** Space before the word, written only if the word stays on this line. */
  #space = "";

  /** @param columns width of the terminal, asked anew for every word */
  constructor(columns: () => number) {
    this.#columns = columns;
  }

  /** Takes the next piece; returns what can be written by now. */
  push(piece: string): string {
    let out = "";
    // The last grapheme may go on in the next piece.
    const all = graphemes(this.#word + piece);
    this.#word = "";
    const last = all.at(-1);
    const held = last !== undefined && last !== "\n" && last !== " " ? (all.pop() as string) : "";
    for (const grapheme of all) {
      if (grapheme === "\n" || grapheme === "\r\n") {
        out += `${this.#endWord()}\n`;
        this.#space = "";
        this.#column = 0;
      } else if (grapheme === " " || grapheme === "\t") {
        out += this.#endWord();
        this.#space += " ";
      } else if (width(grapheme) > 1) {
        out += this.#endWord();
        this.#word = grapheme;
        out += this.#endWord();
      } else this.#word += grapheme;
    }
    this.#word += held;
    return out;
  }

  /** What was held back. */
  end(): string {
    const out = this.#endWord();
    this.#space = "";
    return out;
  }

  /** Whether the cursor stands at the beginning of a line. */
  get atStart(): boolean {
    return this.#column === 0;
  }

  #endWord(): string {
    if (this.#word === "") return "";
    const columns = Math.max(2, this.#columns());
    const word = this.#word;
    const wide = textWidth(word);
    let out = "";
    if (this.#column > 0 && this.#column + this.#space.length + wide > columns) {
      out = "\n";
      this.#column = 0;
    } else {
      out = this.#space.slice(0, columns - this.#column);
      this.#column += out.length;
    }
    this.#word = this.#space = "";
    if (this.#column + wide <= columns) {
      this.#column += wide;
      return out + word;
    }
    for (const grapheme of graphemes(word)) {
      const one = width(grapheme);
      if (this.#column + one > columns && this.#column > 0) {
        out += "\n";
        this.#column = 0;
      }
      out += grapheme;
      this.#column += one;
    }
    return out;
  }
}
