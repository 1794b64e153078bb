import type { Terminal } from "../terminal.js";
import type { Keyboard } from "./keyboard.js";
import { Line } from "./line.js";
import { Screen } from "./screen.js";

/** How the prompt is set up. */
export interface PromptOptions {
  /** Messages sent before, the newest last. */
  history: readonly string[];
  /** Completes what was typed, at the Tab key. */
  complete?: (text: string) => string;
  /** What is in the line at first. */
  text?: string;
}

/** Size of the terminal; 80 × 24 where it does not tell. */
export function terminalSize({ host }: Terminal): { columns: number; rows: number } {
  return { columns: host.stdout.columns || 80, rows: host.stdout.rows || 24 };
}

/** Pasted line ends are newlines, and nothing in a paste steers the terminal. */
export function pastedText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
  return text.replace(/\r\n?/g, "\n").replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, "");
}

/**
 * Lets the user type one message, of several lines if wanted.
 * @returns the message; undefined when the user leaves, by Ctrl-D or Ctrl-C on an empty line
 */
export async function readMessage(
  terminal: Terminal,
  keyboard: Keyboard,
  options: PromptOptions,
): Promise<string | undefined> {
  const { stdout } = terminal.host;
  const line = new Line();
  const screen = new Screen(
    (text) => stdout.write(text),
    () => terminalSize(terminal),
    terminal.style("bold", "> "),
  );
  const entries = [...options.history, options.text ?? ""];
  let at = entries.length - 1;
  const recall = (step: -1 | 1): void => {
    const to = at + step;
    if (to < 0 || to >= entries.length) return;
    entries[at] = line.text;
    at = to;
    line.set(entries[at] as string);
  };
  line.set(options.text ?? "");
  const redraw = () => screen.draw(line);
  stdout.on("resize", redraw);
  redraw();
  try {
    while (true) {
      const key = await keyboard.next();
      if (key === undefined) return undefined;
      if (key.kind !== "key") line.insert(pastedText(key.text));
      else if (key.name === "enter") {
        if (line.cursor === line.text.length && line.text.endsWith("\\")) {
          line.press("backspace");
          line.insert("\n");
        } else {
          screen.draw(line, true);
          return line.text;
        }
      } else if (key.name === "ctrl-c") {
        if (line.text === "") return undefined;
        line.set("");
        at = entries.length - 1;
      } else if (key.name === "ctrl-d") {
        if (line.text === "") return undefined;
        line.press("delete");
      } else if (key.name === "ctrl-l") screen.clear();
      else if (key.name === "tab") line.set(options.complete?.(line.text) ?? line.text);
      else if (key.name === "up" || key.name === "ctrl-p") line.vertical(-1) || recall(-1);
      else if (key.name === "down" || key.name === "ctrl-n") line.vertical(1) || recall(1);
      else if (!line.press(key.name)) continue;
      if (!keyboard.pending) redraw();
    }
  } finally {
    stdout.off("resize", redraw);
    screen.leave();
  }
}
