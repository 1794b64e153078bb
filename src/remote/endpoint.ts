import { SessionError } from "../errors.js";
import { errorFromData, errorToData } from "./errors.js";
import { type Call, isPlain, type Lent, type Message, ownBytes, putBack, takeOut, transferable } from "./messages.js";
import { StreamReader, StreamSender } from "./streams.js";

/** What two threads talk over: a Worker, a worker's own global scope or a MessagePort. */
export interface Port {
  postMessage(message: unknown, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent) => void) | null;
  /** Told when this side begins, and when it ends, to wait for the other: a process must not end in between. */
  hold?(waiting: boolean): void;
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
  target: string;
  signals: Map<number, AbortSignal>;
}

type Iterating = (...args: unknown[]) => AsyncIterable<unknown>;
type Methods = Record<string, ((...args: unknown[]) => unknown) | undefined>;

/**
 * One end of a conversation in which each side calls methods of the other's objects. Arguments and results are cloned;
 * functions and AbortSignals among the arguments, or one level into them, work across; errors keep class and details.
 */
export class Endpoint {
  /** Told with every answer, before it is delivered: what the other side's `note` returned for the object called. */
  onNote: ((note: unknown, target: string) => void) | undefined;
  /** Sent along with every answer: called with the object; `goesOn`: comes with items that more may follow. */
  note: ((object: unknown, answer: { method: string; goesOn: boolean }) => unknown) | undefined;
  /** Whether an item of a stream says that it is the last. */
  isLast: (item: unknown) => boolean = () => false;
  readonly #port: Port;
  readonly #objects = new Map<string, unknown>();
  readonly #waiting = new Map<number, Waiting>();
  /** Functions lent to the other side. */
  readonly #lent = new Map<number, (...args: unknown[]) => unknown>();
  /** Signals borrowed from the other side. */
  readonly #borrowed = new Map<number, AbortController>();
  readonly #senders = new Map<number, StreamSender>();
  readonly #readers = new Map<number, StreamReader>();
  #nextId = 1;
  #held = 0;
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
      const request: Call = { do: "call", id: this.#nextId++, target, method, args: lent.args, lent: lent.places, as };
      return (await this.#holding(this.#request(request, lent.signals))) as Result;
    } finally {
      lent.release();
    }
  }

  /**
   * Iterates over what a method of the other side's object returns; breaking off ends it there too. The method gets one
   * more argument: a `PieceReader`.
   * @param ahead most items that may be on their way
   */
  async *stream<Item>(
    target: string,
    method: string,
    args: readonly unknown[],
    ahead: number,
  ): AsyncGenerator<Item, void, undefined> {
    const id = this.#nextId++;
    const reader = new StreamReader();
    let [count, told] = [0, 0];
    const tell = (stop: boolean) => {
      told = count;
      if (!this.#closed) this.#send({ do: "taken", id, count, stop });
    };
    reader.onDrained = () => tell(false);
    const lent = this.#lend(args, () => tell(false));
    this.#readers.set(id, reader);
    const end = this.#request(
      { do: "call", id, target, method, args: lent.args, lent: lent.places, ahead },
      lent.signals,
    ).then(
      () => reader.finish(),
      (error) => reader.fail(error),
    );
    try {
      for (;;) {
        const aborted = () => [...lent.signals.values()].find((signal) => signal.aborted);
        if (reader.waiting) aborted()?.throwIfAborted();
        const next = await this.#holding(reader.next());
        if (!next) return;
        // What was on its way when the signal came is not taken.
        aborted()?.throwIfAborted();
        count++;
        yield next.item as Item;
        if (reader.drained || (count - told) * 2 >= ahead) tell(false);
      }
    } finally {
      if (!reader.over) {
        tell(true);
        await this.#holding(end);
      }
      this.#readers.delete(id);
      lent.release();
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
    for (const reader of this.#readers.values()) reader.drop();
    this.#objects.clear();
  }

  #request(call: Call, signals: Map<number, AbortSignal>): Promise<unknown> {
    if (this.#closed) return Promise.reject(this.#closed);
    return new Promise((resolve, reject) => {
      this.#send(call);
      this.#waiting.set(call.id, { resolve, reject, target: call.target, signals });
    });
  }

  async #holding<Result>(result: Promise<Result>): Promise<Result> {
    if (this.#held++ === 0) this.#port.hold?.(true);
    try {
      return await result;
    } finally {
      if (--this.#held === 0) this.#port.hold?.(false);
    }
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
      case "items":
        this.onNote?.(message.note, this.#waiting.get(message.id)?.target ?? "");
        this.#readers.get(message.id)?.receive(message.items, message.last);
        return;
      case "taken":
        this.#senders.get(message.id)?.[message.stop ? "stop" : "take"](message.count);
        return;
      case "invoke":
        this.#lent.get(message.id)?.(...message.args);
        return;
      case "abort":
        this.#borrowed.get(message.id)?.abort();
        for (const sender of this.#senders.values()) sender.wake();
        return;
      case "release":
        for (const id of message.ids) this.#borrowed.delete(id);
        return;
      case "forget":
        this.#objects.delete(message.target);
    }
  }

  async #answer({ id, target, method, args, lent, as, ahead }: Call): Promise<void> {
    const found = this.#objects.get(target);
    let object: unknown;
    const run = async () => {
      object = await found;
      const call = (object as Methods | undefined)?.[method];
      if (object === undefined)
        throw new SessionError(`This ${target.split(" ")[0]} has been disposed of`, {}, "Create a new one");
      if (!call) throw new Error(`no ${method} of ${target}`);
      const borrowed = putBack(args, lent, (each) => this.#borrow(each));
      if (ahead === undefined) return call.apply(object, borrowed);
      return this.#sendItems(id, { object, method, ahead }, borrowed, call as Iterating);
    };
    const result = run();
    if (as !== undefined) this.#objects.set(as, result);
    const note = async () => this.note?.(object ?? (await found), { method, goesOn: false });
    try {
      const value = await result;
      this.#send({ do: "result", id, value: as === undefined ? value : undefined, note: await note() });
    } catch (error) {
      const signal = [...this.#borrowed].find(([, { signal }]) => signal.aborted && signal.reason === error)?.[0];
      const noted = await note().catch(() => undefined);
      this.#send({ do: "error", id, error: errorToData(error), signal, note: noted });
    }
  }

  async #sendItems(
    id: number,
    { object, method, ahead }: { object: unknown; method: string; ahead: number },
    args: unknown[],
    call: Iterating,
  ): Promise<void> {
    const sender = new StreamSender(ahead, this.isLast, (items, last) => {
      this.#send({ do: "items", id, items, last, note: this.note?.(object, { method, goesOn: true }) });
    });
    const aborted = () =>
      args.some((arg) => isPlain(arg) && Object.values(arg).some((one) => one instanceof AbortSignal && one.aborted));
    const reader = {
      taken: () => (sender.stopped || aborted() ? sender.taken : Number.POSITIVE_INFINITY),
      caughtUp: () => sender.caughtUp(aborted),
    };
    this.#senders.set(id, sender);
    try {
      await sender.run(call.apply(object, [...args, reader]));
    } finally {
      this.#senders.delete(id);
    }
  }

  #send(message: Message): void {
    const own = message.do === "result" ? { ...message, value: ownBytes(message.value) } : message;
    this.#port.postMessage(own, own.do === "result" ? transferable(own.value) : []);
  }

  /** @param beforeAbort called before the other side is told that a signal was aborted */
  #lend(
    args: readonly unknown[],
    beforeAbort?: () => void,
  ): { args: unknown[]; places: Lent[]; signals: Map<number, AbortSignal>; release(): void } {
    const places: Lent[] = [];
    const signals = new Map<number, AbortSignal>();
    const undo: (() => void)[] = [];
    const left = takeOut(args, (value, arg, key) => {
      const id = this.#nextId++;
      if (!(value instanceof AbortSignal)) {
        this.#lent.set(id, value);
        places.push({ what: "function", id, arg, key });
        return;
      }
      const abort = () => {
        beforeAbort?.();
        this.#send({ do: "abort", id });
      };
      value.addEventListener("abort", abort);
      undo.push(() => value.removeEventListener("abort", abort));
      signals.set(id, value);
      places.push({ what: "signal", id, aborted: value.aborted, arg, key });
    });
    return {
      args: left,
      places,
      signals,
      release: () => {
        for (const { id } of places) this.#lent.delete(id);
        for (const step of undo) step();
        if (signals.size && !this.#closed) this.#send({ do: "release", ids: [...signals.keys()] });
      },
    };
  }

  #borrow({ what, id, aborted }: Lent): unknown {
    if (what === "function") return (...args: unknown[]) => this.#send({ do: "invoke", id, args });
    const controller = new AbortController();
    this.#borrowed.set(id, controller);
    if (aborted) controller.abort();
    return controller.signal;
  }
}
