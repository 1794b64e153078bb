/** How long items are collected before they are sent, in milliseconds: shorter than anybody reads. */
const COLLECT_MS = 4;

/**
 * Sends the items of an iteration to a reader on another thread without waiting for it to ask for each: as many as it
 * allows are sent ahead. What it never took can be taken back by the iteration, which is told when it is ended early.
 */
export class StreamSender {
  readonly #send: (items: unknown[], last: boolean) => void;
  readonly #isLast: (item: unknown) => boolean;
  readonly #ahead: number;
  #items: unknown[] = [];
  #sent = 0;
  #taken = 0;
  #stopped = false;
  #flushed = Number.NEGATIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wake: (() => void) | undefined;

  /**
   * @param ahead most items that are sent and not yet taken
   * @param isLast whether nothing follows an item: the iteration ends only when the reader has taken it
   * @param send gives items to the reader; `last`: it shall tell at once when it has taken them
   */
  constructor(ahead: number, isLast: (item: unknown) => boolean, send: (items: unknown[], last: boolean) => void) {
    this.#ahead = ahead;
    this.#isLast = isLast;
    this.#send = send;
  }

  /** Items the reader has taken. */
  get taken(): number {
    return this.#taken;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** The reader has taken so many items. */
  take(count: number): void {
    this.#taken = Math.max(this.#taken, count);
    this.#wake?.();
  }

  /** Looks again at what is waited for. */
  wake(): void {
    this.#wake?.();
  }

  /** Waits until everything is taken, or the reader has stopped, or `over` says so. */
  async caughtUp(over: () => boolean): Promise<void> {
    this.#flush();
    this.#send([], true);
    while (this.#sent > this.#taken && !this.#stopped && !over())
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }

  /** The reader wants no more. */
  stop(count: number): void {
    this.#stopped = true;
    this.take(count);
  }

  /** Iterates to the end, or until the reader stops. @throws what the iteration throws, after the items before it are sent */
  async run(iterable: AsyncIterable<unknown>): Promise<void> {
    const iterator = iterable[Symbol.asyncIterator]();
    try {
      for (let most = this.#ahead; ; ) {
        while (!this.#stopped && this.#sent - this.#taken >= most)
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        if (this.#stopped) {
          await iterator.return?.();
          return;
        }
        const step = await iterator.next();
        if (step.done) return;
        const last = this.#isLast(step.value);
        if (last) most = 1;
        this.#add(step.value, last);
      }
    } finally {
      this.#flush();
    }
  }

  #add(item: unknown, last: boolean): void {
    this.#sent++;
    this.#items.push(item);
    const full = this.#items.length * 3 >= this.#ahead || performance.now() - this.#flushed >= COLLECT_MS;
    if (last || full) this.#flush(last);
    else this.#timer ??= setTimeout(() => this.#flush(), COLLECT_MS);
  }

  #flush(last = false): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#items.length === 0) return;
    this.#flushed = performance.now();
    this.#send(this.#items, last);
    this.#items = [];
  }
}

/** The items of a stream that have arrived and are not yet taken. */
export class StreamReader {
  readonly #items: unknown[] = [];
  #asked = false;
  /** The reader has taken all and waits for more. */
  #idle = false;
  #over = false;
  #error: { reason: unknown } | undefined;
  #wake: (() => void) | undefined;

  /** Whether items wait to be taken. */
  get waiting(): boolean {
    return this.#items.length > 0;
  }

  /** Whether everything has been taken and the sender waits to hear that. */
  get drained(): boolean {
    return this.#asked && this.#items.length === 0;
  }

  /** Whether the sender is done. */
  get over(): boolean {
    return this.#over;
  }

  /** Called when the sender asks what has been taken, and that is all. */
  onDrained: (() => void) | undefined;

  receive(items: readonly unknown[], last: boolean): void {
    for (const item of items) this.#items.push(item);
    this.#asked = last;
    if (this.drained && this.#idle) this.onDrained?.();
    this.#wake?.();
  }

  /** Forgets what was not taken. */
  drop(): void {
    this.#items.length = 0;
  }

  finish(): void {
    this.#over = true;
    this.#wake?.();
  }

  fail(reason: unknown): void {
    this.#error = { reason };
    this.finish();
  }

  /** The next item, or undefined at the end. @throws what the iteration at the other side threw */
  async next(): Promise<{ item: unknown } | undefined> {
    this.#idle = true;
    while (this.#items.length === 0 && !this.#over)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    this.#idle = false;
    if (this.#items.length > 0) return { item: this.#items.shift() };
    if (this.#error) throw this.#error.reason;
    return undefined;
  }
}
