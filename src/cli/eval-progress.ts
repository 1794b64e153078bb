import type { RunProgress } from "../eval/run.js";
import type { Terminal } from "./terminal.js";

const PATIENCE_MS = 1000;
const REDRAW_MS = 200;

/** One line on stderr: task, examples and the time that is left; nothing where stderr is no terminal. */
export class EvalProgress {
  readonly #terminal: Terminal;
  readonly #start = performance.now();
  #drawn = Number.NEGATIVE_INFINITY;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Draws, if it is time to. */
  update({ task, done, total, fraction }: RunProgress): void {
    const now = performance.now();
    const elapsed = now - this.#start;
    if (!this.#terminal.host.stderr.isTTY || elapsed < PATIENCE_MS || now - this.#drawn < REDRAW_MS) return;
    this.#drawn = now;
    const left = fraction > 0 ? `, ${formatTime((elapsed * (1 - fraction)) / fraction)} left` : "";
    this.#put(`\r${task.padEnd(13)} ${done} of ${total} examples, ${(fraction * 100).toFixed(0)} %${left}\x1b[K`);
  }

  /** Takes the line away. */
  clear(): void {
    if (this.#drawn > Number.NEGATIVE_INFINITY) this.#put("\r\x1b[K");
    this.#drawn = Number.NEGATIVE_INFINITY;
  }

  #put(text: string): void {
    this.#terminal.host.stderr.write(text);
  }
}

/** Milliseconds as `1:02:03` or `2:03`. */
export function formatTime(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const two = (value: number) => String(value).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  const end = two(seconds % 60);
  return minutes < 60 ? `${minutes}:${end}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${end}`;
}
