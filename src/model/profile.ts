/** Adds up the time of each operation of the forward pass, as the first thread sees it, barriers included. */
export class Profile {
  readonly #sums = new Map<string, number>();
  #last = 0;

  /** Starts the clock of a forward pass. */
  start(): void {
    this.#last = performance.now();
  }

  /** Books the time since the last call, or since `start`, to an operation. */
  mark(operation: string): void {
    const now = performance.now();
    this.#sums.set(operation, (this.#sums.get(operation) ?? 0) + now - this.#last);
    this.#last = now;
  }

  /** Milliseconds by operation. */
  get times(): Record<string, number> {
    return Object.fromEntries(this.#sums);
  }

  reset(): void {
    this.#sums.clear();
  }
}
