import type { Writable } from "node:stream";
import { DeltaLLMError } from "../errors.js";
import { printable } from "./format.js";
import type { Host } from "./host.js";

/** Thrown, and the reason of the aborted signal, after Ctrl-C. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
}

/** Thrown, and the reason of the aborted signal, when the reader of our output has gone (`| head -1`). */
export class OutputClosed extends Error {
  override readonly name = "OutputClosed";
}

/** The output could not be written: a full disk, say. */
export class OutputError extends DeltaLLMError {
  override readonly name = "OutputError";
}

/** Output, colours and interruption of one run of a command. */
export class Terminal {
  readonly host: Host;
  readonly #controller = new AbortController();
  readonly #broken = new Set<Writable>();
  readonly #cleanUps: (() => void)[] = [];
  readonly #running = new Set<() => void>();

  constructor(host: Host) {
    this.host = host;
    for (const stream of [host.stdout, host.stderr]) {
      const listener = (error: Error) => this.#failed(stream, error);
      stream.on("error", listener);
      this.#cleanUps.push(() => stream.off("error", listener));
    }
  }

  /** Aborted when nobody wants the rest: the output was closed, or Ctrl-C inside `interruptible`. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Writes to stdout; resolves when the text is handed over, so that a slow reader slows us down. */
  write(text: string | Uint8Array): Promise<void> {
    return this.#write(this.host.stdout, text);
  }

  /** Writes what a model wrote to stdout; control characters reach files and pipes only. */
  async modelText(text: string): Promise<void> {
    const shown = this.host.stdout.isTTY ? printable(text) : text;
    if (shown) await this.write(shown);
  }

  /** Writes a line to stdout. */
  line(text = ""): Promise<void> {
    return this.write(`${text}\n`);
  }

  /** Writes a line to stderr. */
  note(text = ""): Promise<void> {
    return this.#write(this.host.stderr, `${text}\n`);
  }

  /** Writes one JSON value to stdout. */
  json(value: unknown): Promise<void> {
    return this.line(JSON.stringify(value));
  }

  /** Bold and dim text, on a terminal that wants it; plain text elsewhere. See no-color.org. */
  style(style: "bold" | "dim", text: string, stream: "stdout" | "stderr" = "stdout"): string {
    const { env } = this.host;
    if (!this.host[stream].isTTY || env.NO_COLOR || env.TERM === "dumb" || text === "") return text;
    return style === "bold" ? `\x1b[1m${text}\x1b[22m` : `\x1b[2m${text}\x1b[22m`;
  }

  /**
   * Runs something that Ctrl-C shall stop, through the signal it is given.
   * @throws Interrupted or OutputClosed when the signal was aborted for that reason
   */
  async interruptible<Result>(run: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    const controller = new AbortController();
    const { signal } = controller;
    // By hand: AbortSignal.any is younger than Node 20.0.
    const closed = () => controller.abort(this.signal.reason);
    if (this.signal.aborted) closed();
    this.signal.addEventListener("abort", closed);
    const stop = () => controller.abort(new Interrupted("Interrupted"));
    const release = this.host.onInterrupt(stop);
    this.#running.add(stop);
    try {
      return await run(signal);
    } catch (error) {
      // Whatever an interrupted step threw, the interruption is why.
      signal.throwIfAborted();
      throw error;
    } finally {
      release();
      this.#running.delete(stop);
      this.signal.removeEventListener("abort", closed);
    }
  }

  /** Stops what runs, as Ctrl-C does where the terminal sends it as a key. */
  interrupt(): void {
    for (const stop of this.#running) stop();
  }

  close(): void {
    for (const cleanUp of this.#cleanUps.splice(0)) cleanUp();
  }

  #write(stream: Writable, text: string | Uint8Array): Promise<void> {
    // What cannot be written to stdout can still be told on stderr.
    if (this.#broken.has(stream)) return Promise.reject(this.signal.reason);
    return new Promise((resolve, reject) => {
      stream.write(text, (error) => {
        if (!error) return resolve();
        this.#failed(stream, error);
        reject(this.signal.reason);
      });
    });
  }

  #failed(stream: Writable, error: Error & { code?: string }): void {
    this.#broken.add(stream);
    const closed = error.code === "EPIPE" || error.code === "ERR_STREAM_DESTROYED";
    const what = error.code === "ENOSPC" ? "there is no room" : error.message;
    this.#controller.abort(
      closed
        ? new OutputClosed("Output closed")
        : new OutputError(`The output cannot be written: ${what}`, {}, "Send it elsewhere", { cause: error }),
    );
  }
}
