import type { Line } from "./line.js";
import { graphemes, textWidth, width } from "./width.js";

/** A text laid out in rows no wider than the terminal, and where its cursor is. */
export interface Layout {
  rows: string[];
  row: number;
  /** Columns before the cursor, without the prompt. */
  column: number;
}

/** Breaks a text into rows at its newlines and at the edge. */
export function layout({ text, cursor }: Pick<Line, "text" | "cursor">, columns: number): Layout {
  const rows = [""];
  let [used, at, row, column] = [0, 0, 0, 0];
  for (const grapheme of graphemes(text)) {
    const newline = grapheme === "\n";
    const one = newline ? 0 : width(grapheme);
    if (!newline && used + one > columns) {
      rows.push("");
      used = 0;
    }
    if (at === cursor) [row, column] = [rows.length - 1, used];
    if (newline) {
      rows.push("");
      used = 0;
    } else {
      rows[rows.length - 1] += grapheme === "\t" ? " " : grapheme;
      used += one;
    }
    at += grapheme.length;
  }
  if (at <= cursor) [row, column] = [rows.length - 1, used];
  return { rows, row, column };
}

/** Draws the text that is being typed, over what it drew before. */
export class Screen {
  readonly #write: (text: string) => void;
  readonly #size: () => { columns: number; rows: number };
  readonly #prompt: string;
  /** Columns of the rows drawn above the cursor's. */
  #above: number[] = [];

  /** @param prompt two columns wide, with its style */
  constructor(write: (text: string) => void, size: () => { columns: number; rows: number }, prompt: string) {
    this.#write = write;
    this.#size = size;
    this.#prompt = prompt;
  }

  /** @param all also what is too long for the screen; the cursor goes to the end */
  draw(line: Line, all = false): void {
    const { columns, rows: height } = this.#size();
    const { rows, row, column } = layout(
      all ? { text: line.text, cursor: line.text.length } : line,
      Math.max(2, columns - 3),
    );
    const shown = all ? rows.length : Math.max(1, height - 1);
    const first = Math.min(Math.max(0, row - Math.floor(shown / 2)), Math.max(0, rows.length - shown));
    const visible = rows.slice(first, first + shown);
    const lines = visible.map((text, i) => (first + i === 0 ? this.#prompt : "  ") + text);
    const down = visible.length - 1 - (row - first);
    const back = down > 0 ? `\x1b[${down}A` : "";
    this.#write(`${this.#home(columns)}\x1b[J${lines.join("\r\n")}${back}\r\x1b[${column + 2}C`);
    this.#above = rows.slice(first, row).map((text) => 2 + textWidth(text));
  }

  /** Takes what was drawn away. */
  erase(): void {
    this.#write(`${this.#home(this.#size().columns)}\x1b[J`);
    this.#above = [];
  }

  /** What is drawn now stays; the next drawing begins below. */
  leave(): void {
    this.#write("\r\n");
    this.#above = [];
  }

  /** The whole screen is free. */
  clear(): void {
    this.#write("\x1b[H\x1b[2J");
    this.#above = [];
  }

  /** To where the drawing began; a terminal that got narrower has folded its rows. */
  #home(columns: number): string {
    let up = 0;
    for (const wide of this.#above) up += Math.max(1, Math.ceil(wide / columns));
    return up > 0 ? `\r\x1b[${up}A` : "\r";
  }
}
