import { type ErrorData, errorFromData, errorToData } from "./errors.js";

/** What two threads talk over: a Worker, a worker's own global scope or a MessagePort. */
export interface Port {
  postMessage(message: unknown, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent) => void) | null;
}

/** What stands for a function or an AbortSignal among the arguments of a call. */
interface Reference {
  reference: "function" | "signal";
  id: number;
  aborted?: boolean;
}

type Message =
  /** `as`: keep the result under this name instead of sending it. */
  | { do: "call"; id: number; target: string; method: string; args: unknown[]; as?: string | undefined }
  | { do: "result"; id: number; value: unknown; note: unknown }
  | { do: "error"; id: number; error: ErrorData; signal: number | undefined; note: unknown }
  /** A function of the arguments is called; nobody waits for its result. */
  | { do: "invoke"; id: number; args: unknown[] }
  | { do: "abort"; id: number }
  | { do: "release"; ids: number[] }
  | { do: "forget"; target: string };

/** Names of streams begin with this. */
const STREAM = "stream";

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
  target: string;
  signals: Map<number, AbortSignal>;
}

type Methods = Record<string, ((...args: unknown[]) => unknown) | undefined>;

/**
 * One end of a conversation in which each side calls methods of the other's objects. Arguments and results are cloned;
 * functions and AbortSignals among the arguments, or one level into them, work across; errors keep class and details.
 */
export class Endpoint {
  /** Told with every answer, before it is delivered: what the other side's `note` returned for the object called. */
  onNote: ((note: unknown, target: string) => void) | undefined;
  /** Sent along with every answer: called with the object (of a stream: the one that made it) and, unless the call has failed, with its result. */
  note: ((object: unknown, value?: unknown) => unknown) | undefined;
  readonly #port: Port;
  readonly #objects = new Map<string, unknown>();
  /** Objects whose methods made the streams. */
  readonly #owners = new Map<string, unknown>();
  readonly #waiting = new Map<number, Waiting>();
  /** Functions lent to the other side. */
  readonly #lent = new Map<number, (...args: unknown[]) => unknown>();
  /** Signals borrowed from the other side. */
  readonly #borrowed = new Map<number, AbortController>();
  #nextId = 1;
  #closed: Error | undefined;

  constructor(port: Port) {
    this.#port = port;
    port.onmessage = (event) => void this.#receive(event.data as Message);
  }

  /** Lets the other side call the methods of an object; a promise stands for what it resolves to. */
  expose(name: string, object: unknown): void {
    this.#objects.set(name, object);
  }

  /** What the other side reaches under a name. */
  exposed(name: string): unknown {
    return this.#objects.get(name);
  }

  /** A name that was not used before on this end. */
  newName(kind: string): string {
    return `${kind} ${this.#nextId++}`;
  }

  /** Calls a method of the other side's object. Rejects with its error, or with the very reason of an own signal. */
  async call<Result>(target: string, method: string, args: readonly unknown[], as?: string): Promise<Result> {
    const lent = this.#lend(args);
    try {
      return (await this.#request(target, method, lent.args, lent.signals, as)) as Result;
    } finally {
      lent.release();
    }
  }

  /** Iterates over what a method of the other side's object returns; breaking off ends it there too. */
  async *stream<Item>(target: string, method: string, args: readonly unknown[]): AsyncGenerator<Item, void, undefined> {
    const lent = this.#lend(args);
    const name = this.newName(STREAM);
    let over = true; // Nothing to end at the other side: not begun, failed or done.
    try {
      await this.#request(target, method, lent.args, lent.signals, name);
      for (;;) {
        over = true;
        const step = (await this.#request(name, "next", [], lent.signals, undefined, target)) as IteratorResult<Item>;
        if (step.done) return;
        over = false;
        yield step.value;
      }
    } finally {
      try {
        if (!over && !this.#closed) await this.#request(name, "return", [], lent.signals, undefined, target);
      } finally {
        this.forget(name);
        lent.release();
      }
    }
  }

  /** Tells the other side that its object is not needed any more. */
  forget(target: string): void {
    if (!this.#closed) this.#send({ do: "forget", target });
  }

  /** Ends the conversation: everything still waited for fails with `error`, and so does every later call. */
  close(error: Error): void {
    this.#closed ??= error;
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
    this.#objects.clear();
  }

  #request(
    target: string,
    method: string,
    args: unknown[],
    signals: Map<number, AbortSignal>,
    as?: string,
    noted = target,
  ): Promise<unknown> {
    if (this.#closed) return Promise.reject(this.#closed);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#send({ do: "call", id, target, method, args, as });
      this.#waiting.set(id, { resolve, reject, target: noted, signals });
    });
  }

  async #receive(message: Message): Promise<void> {
    switch (message.do) {
      case "call":
        return this.#answer(message);
      case "result":
      case "error": {
        const waiting = this.#waiting.get(message.id);
        if (!waiting) return;
        this.#waiting.delete(message.id);
        this.onNote?.(message.note, waiting.target);
        if (message.do === "result") return waiting.resolve(message.value);
        const signal = message.signal === undefined ? undefined : waiting.signals.get(message.signal);
        return waiting.reject(signal?.aborted ? signal.reason : errorFromData(message.error));
      }
      case "invoke":
        this.#lent.get(message.id)?.(...message.args);
        return;
      case "abort":
        this.#borrowed.get(message.id)?.abort();
        return;
      case "release":
        for (const id of message.ids) this.#borrowed.delete(id);
        return;
      case "forget":
        this.#objects.delete(message.target);
        this.#owners.delete(message.target);
    }
  }

  async #answer({ id, target, method, args, as }: Message & { do: "call" }): Promise<void> {
    const found = this.#objects.get(target);
    const run = async () => {
      const object = (await found) as Methods | undefined;
      const call = object?.[method];
      if (!call) throw new Error(`no ${method} of ${target}`);
      return call.apply(
        object,
        args.map((arg) => this.#borrow(arg)),
      );
    };
    const result = run();
    if (as !== undefined) {
      this.#objects.set(as, result);
      if (as.startsWith(STREAM)) this.#owners.set(as, found);
    }
    const note = async (value?: unknown) => this.note?.(await (this.#owners.get(target) ?? found), value);
    try {
      const value = await result;
      this.#send({ do: "result", id, value: as === undefined ? value : undefined, note: await note(value) });
    } catch (error) {
      const signal = [...this.#borrowed].find(([, { signal }]) => signal.aborted && signal.reason === error)?.[0];
      const noted = await note().catch(() => undefined);
      this.#send({ do: "error", id, error: errorToData(error), signal, note: noted });
    }
  }

  #send(message: Message): void {
    const transfer = message.do === "result" ? transferable(message.value) : [];
    this.#port.postMessage(message, transfer);
  }

  #lend(args: readonly unknown[]): { args: unknown[]; signals: Map<number, AbortSignal>; release(): void } {
    const ids: number[] = [];
    const signals = new Map<number, AbortSignal>();
    const undo: (() => void)[] = [];
    const lend = (value: unknown): unknown => {
      if (typeof value !== "function" && !(value instanceof AbortSignal)) return value;
      const id = this.#nextId++;
      ids.push(id);
      if (typeof value === "function") {
        this.#lent.set(id, value as (...args: unknown[]) => unknown);
        return { reference: "function", id } satisfies Reference;
      }
      const abort = () => this.#send({ do: "abort", id });
      value.addEventListener("abort", abort);
      undo.push(() => value.removeEventListener("abort", abort));
      signals.set(id, value);
      return { reference: "signal", id, aborted: value.aborted } satisfies Reference;
    };
    return {
      args: args.map((arg) => (isPlain(arg) ? mapValues(arg, lend) : lend(arg))),
      signals,
      release: () => {
        for (const id of ids) this.#lent.delete(id);
        for (const step of undo) step();
        if (signals.size && !this.#closed) this.#send({ do: "release", ids: [...signals.keys()] });
      },
    };
  }

  #borrow(arg: unknown): unknown {
    if (!isPlain(arg)) return arg;
    if (arg.reference === "function") {
      const id = arg.id as number;
      return (...args: unknown[]) => this.#send({ do: "invoke", id, args });
    }
    if (arg.reference === "signal") {
      const { id, aborted } = arg as unknown as Reference;
      const controller = new AbortController();
      this.#borrowed.set(id, controller);
      if (aborted) controller.abort();
      return controller.signal;
    }
    return mapValues(arg, (value) => (isPlain(value) ? this.#borrow(value) : value));
  }
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function mapValues(object: Record<string, unknown>, change: (value: unknown) => unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));
}

/** Arrays of numbers move instead of being copied, when they are all there is in their buffer. */
function transferable(value: unknown): Transferable[] {
  if (!(value instanceof Float32Array) || !(value.buffer instanceof ArrayBuffer)) return [];
  return value.byteLength === value.buffer.byteLength ? [value.buffer] : [];
}
