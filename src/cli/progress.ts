import type { Progress } from "../types.js";
import type { Terminal } from "./terminal.js";

const PATIENCE_MS = 1000;
const REDRAW_MS = 100;
const WIDTH = 30;
const labels: Record<Progress["phase"], string> = {
  open: "Opening",
  download: "Downloading",
  weights: "Loading",
  prepare: "Preparing",
  prefill: "Reading",
};

/**
 * A bar on stderr for what takes longer than a second; nothing where stderr is no terminal. Own code: the wait, the
 * single line and the three runtimes are all there is to it.
 */
export class ProgressBar {
  readonly #terminal: Terminal;
  readonly #now: () => number;
  readonly #start: number;
  #drawn = Number.NEGATIVE_INFINITY;

  constructor(terminal: Terminal, now = () => performance.now()) {
    this.#terminal = terminal;
    this.#now = now;
    this.#start = now();
  }

  /** Draws, if it is time to. */
  update({ phase, fraction, bytes }: Progress): void {
    const now = this.#now();
    if (!this.#terminal.host.stderr.isTTY || now - this.#start < PATIENCE_MS || now - this.#drawn < REDRAW_MS) return;
    this.#drawn = now;
    const share = Math.min(1, Math.max(0, fraction));
    const percent = `${(share * 100).toFixed(0).padStart(3)} %`;
    const size = bytes > 0 ? ` ${(bytes / 1e6).toFixed(0)} MB` : "";
    // One line, whatever the width: the bar gets shorter, then the size goes, then the word.
    const room = (this.#terminal.host.stderr.columns || 80) - 1;
    const label = labels[phase].padEnd(9);
    const width = Math.min(WIDTH, room - label.length - percent.length - size.length - 2);
    const done = Math.round(share * width);
    const line =
      width >= 5 ? `${label} ${"█".repeat(done)}${"░".repeat(width - done)} ${percent}${size}` : `${label} ${percent}`;
    this.#put(`\r${line.length <= room ? line : percent.slice(0, room)}\x1b[K`);
  }

  /** Takes the bar away. */
  clear(): void {
    if (this.#drawn > Number.NEGATIVE_INFINITY) this.#put("\r\x1b[K");
    this.#drawn = Number.NEGATIVE_INFINITY;
  }

  #put(text: string): void {
    this.#terminal.host.stderr.write(text);
  }
}
