import type { PullProgress } from "../hub/pull.js";
import { formatBytes, printable } from "./format.js";
import type { Terminal } from "./terminal.js";

const REDRAW_MS = 200;
/** The speed shown is that of the last so many milliseconds. */
const SPEED_MS = 5000;
const WIDTH = 24;

/** One line on stderr about a download: bar, share, bytes, speed, time left. Nothing where stderr is no terminal. */
export class DownloadBar {
  readonly #terminal: Terminal;
  readonly #now: () => number;
  /** Bytes at times, of the last seconds. */
  #seen: { at: number; bytes: number }[] = [];
  #drawn = Number.NEGATIVE_INFINITY;

  constructor(terminal: Terminal, now = () => performance.now()) {
    this.#terminal = terminal;
    this.#now = now;
  }

  update(progress: PullProgress): void {
    const { stderr } = this.#terminal.host;
    if (!stderr.isTTY) return;
    const now = this.#now();
    if (progress.step !== "download") this.#seen = [];
    else this.#seen.push({ at: now, bytes: progress.bytes });
    if (now - this.#drawn < REDRAW_MS) return;
    this.#drawn = now;
    while (this.#seen.length > 2 && now - (this.#seen[0]?.at ?? now) > SPEED_MS) this.#seen.shift();
    stderr.write(`\r${this.#line(progress, stderr.columns ?? 80)}\x1b[K`);
  }

  /** Takes the line away. */
  clear(): void {
    if (this.#drawn > Number.NEGATIVE_INFINITY) this.#terminal.host.stderr.write("\r\x1b[K");
    this.#drawn = Number.NEGATIVE_INFINITY;
  }

  #line({ step, bytes, totalBytes, file }: PullProgress, columns: number): string {
    const name = printable(file.split("/").pop() ?? file);
    if (step === "wait") return `Waiting for another process that downloads ${name}`.slice(0, columns - 1);
    const share = totalBytes ? bytes / totalBytes : 1;
    const parts = [`${(share * 100).toFixed(0).padStart(3)} %`, `${formatBytes(bytes)} of ${formatBytes(totalBytes)}`];
    const speed = this.#speed();
    if (step === "check") parts.push("checking");
    else if (speed > 0) parts.push(`${formatBytes(speed)}/s`, `${duration((totalBytes - bytes) / speed)} left`);
    const done = Math.round(share * WIDTH);
    const bar = `${"█".repeat(done)}${"░".repeat(WIDTH - done)} `;
    // The most telling parts come first; what does not fit the line is left out.
    const text = (line: string[]) => line.join("  ");
    while (parts.length > 1 && text(parts).length >= columns) parts.pop();
    const left = columns - 1 - text(parts).length;
    return left > WIDTH + 1 ? bar + text(parts) : text(parts).slice(0, columns - 1);
  }

  #speed(): number {
    const [first, last] = [this.#seen[0], this.#seen.at(-1)];
    if (!first || !last || last.at - first.at < 500) return 0;
    return ((last.bytes - first.bytes) / (last.at - first.at)) * 1000;
  }
}

function duration(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.ceil(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.ceil((seconds % 3600) / 60)} min`;
}
