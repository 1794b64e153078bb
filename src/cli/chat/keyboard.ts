import { StringDecoder } from "node:string_decoder";
import type { Terminal } from "../terminal.js";
import { type Key, KeyDecoder } from "./keys.js";

/**
 * The keyboard of a terminal in raw mode: nothing is echoed and no key is lost. What is typed while nobody reads waits;
 * only Ctrl-C goes to the listener of `listenForInterrupt` at once.
 */
export class Keyboard {
  #onInterrupt: (() => void) | undefined;
  readonly #terminal: Terminal;
  readonly #keys: (Key | undefined)[] = [];
  readonly #decoder = new KeyDecoder();
  readonly #utf8 = new StringDecoder("utf8");
  #waiting: ((key: Key | undefined) => void) | undefined;
  #ended = false;
  readonly #release: () => unknown;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    const { stdin, stdout } = terminal.host;
    stdin.setRawMode?.(true);
    stdout.write("\x1b[?2004h");
    stdin.on("data", this.#data);
    stdin.on("end", this.#end);
    stdin.resume();
    const release = terminal.host.onTerminate(() => {
      this.#end();
      this.#onInterrupt?.();
    });
    this.#release = release;
  }

  /** The next key; undefined when there will be none. */
  next(): Promise<Key | undefined> {
    if (this.#keys.length > 0) return Promise.resolve(this.#keys.shift());
    if (this.#ended) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  /** Hands Ctrl-C to a listener, also one that is waiting already; `undefined`: Ctrl-C is a key again. */
  listenForInterrupt(listener: (() => void) | undefined): void {
    this.#onInterrupt = listener;
    if (!listener) return;
    const at = this.#keys.findIndex((key) => key?.kind === "key" && key.name === "ctrl-c");
    if (at >= 0) {
      this.#keys.splice(at, 1);
      listener();
    }
  }

  /** Whether keys are waiting: nothing need be drawn before they are taken. */
  get pending(): boolean {
    return this.#keys.length > 0;
  }

  /** Gives the terminal back as it was. */
  close(): void {
    const { stdin, stdout } = this.#terminal.host;
    this.#release();
    stdin.off("data", this.#data);
    stdin.off("end", this.#end);
    stdout.write("\x1b[?2004l");
    stdin.setRawMode?.(false);
    stdin.pause();
  }

  readonly #data = (bytes: Uint8Array | string): void => {
    const text = typeof bytes === "string" ? bytes : this.#utf8.write(Buffer.from(bytes));
    for (const key of this.#decoder.push(text)) {
      if (key.kind === "key" && key.name === "ctrl-c" && this.#onInterrupt) this.#onInterrupt();
      else this.#give(key);
    }
  };

  readonly #end = (): void => {
    this.#ended = true;
    this.#waiting?.(undefined);
    this.#waiting = undefined;
  };

  #give(key: Key): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) waiting(key);
    else this.#keys.push(key);
  }
}
