import { ApiError } from "./errors.js";
import { once } from "./once.js";

interface Waiting {
  places: number;
  enter(): void;
}

/** How many answers run at once, and how many requests may wait for their turn, in the order they came. */
export class Admission {
  readonly #parallel: number;
  readonly #queue: number;
  readonly #perKey: number;
  readonly #byKey = new Map<string, number>();
  readonly #waiting: Waiting[] = [];
  #running = 0;
  #closed = false;
  readonly #idle: (() => void)[] = [];

  constructor({
    parallel,
    queue,
    perKey = Number.POSITIVE_INFINITY,
  }: { parallel: number; queue: number; perKey?: number | undefined }) {
    this.#parallel = parallel;
    this.#queue = queue;
    this.#perKey = perKey;
  }

  /** Answers being computed. */
  get running(): number {
    return this.#running;
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  get parallel(): number {
    return this.#parallel;
  }

  /** True once `close` was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Waits for `places` and returns what gives them back; calling that twice does no harm.
   * @param key whose request it is
   * @throws ApiError 429 when too many wait, 503 after `close`, or the signal's reason
   */
  async enter(places: number, key: string, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#closed) throw new ApiError(503, "The server is shutting down", { code: "shutting_down", retryAfter: 5 });
    if (places > this.#parallel)
      throw new ApiError(400, `At most ${this.#parallel} answers can be computed at once`, {
        param: "n",
        code: "invalid_value",
      });
    const ofKey = this.#byKey.get(key) ?? 0;
    if (ofKey >= this.#perKey) throw tooMany(`This API key has ${ofKey} requests running already`);
    const mustWait = this.#waiting.length > 0 || this.#running + places > this.#parallel;
    if (mustWait && this.#waiting.length >= this.#queue)
      throw tooMany(`${this.#waiting.length} requests are waiting already`);
    this.#byKey.set(key, ofKey + 1);
    const leaveKey = once(() => this.#leaveKey(key));
    if (mustWait) {
      try {
        await this.#wait(places, signal);
      } catch (error) {
        leaveKey();
        throw error;
      }
    } else this.#running += places;
    return once(() => {
      leaveKey();
      this.#running -= places;
      this.#next();
    });
  }

  /** Refuses whoever comes from now on and resolves when those inside have left. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#running > 0 || this.#waiting.length > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #wait(places: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const entry: Waiting = {
        places,
        enter: () => {
          signal.removeEventListener("abort", leave);
          this.#running += places;
          resolve();
        },
      };
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(entry), 1);
        reject(signal.reason);
        this.#next();
      };
      signal.addEventListener("abort", leave, { once: true });
      this.#waiting.push(entry);
    });
  }

  #next(): void {
    for (;;) {
      const first = this.#waiting[0];
      if (!first || this.#running + first.places > this.#parallel) break;
      this.#waiting.shift();
      first.enter();
    }
    if (this.#running === 0 && this.#waiting.length === 0) for (const done of this.#idle.splice(0)) done();
  }

  #leaveKey(key: string): void {
    const left = (this.#byKey.get(key) ?? 1) - 1;
    if (left > 0) this.#byKey.set(key, left);
    else this.#byKey.delete(key);
  }
}

function tooMany(message: string): ApiError {
  return new ApiError(429, message, { type: "rate_limit_error", code: "rate_limit_exceeded", retryAfter: 2 });
}
