import type { Thread } from "../threads/thread.js";
import type { Profile } from "./profile.js";

/**
 * The barriers of a pass. In that of a lone row they are put off until a thread reads what others have written; nothing
 * else differs.
 */
export class PassBarrier {
  /** Whether the rows are a lone one, see `PassRows`. */
  lone: boolean;
  readonly #thread: Thread;
  readonly #profile: Profile | undefined;
  /** What others may still be writing. */
  #open: string | undefined;
  /** Whether the first thread alone writes it. */
  #first = false;

  constructor(thread: Thread, lone: boolean, profile?: Profile) {
    this.#thread = thread;
    this.#profile = profile;
    this.lone = lone;
  }

  /** Ends a step whose result other threads need. */
  end(name: string): void {
    this.#first = false;
    if (this.lone) this.#open = name;
    else this.#thread.barrier();
    this.#profile?.mark(name);
  }

  /** Begins a step that reads what other threads have written. */
  wait(): void {
    if (this.#open === undefined) return;
    this.#thread.barrier();
    this.#profile?.mark(this.#open);
    this.#open = undefined;
  }

  /** Begins a step by row in shared memory: of a lone row it is the first thread's. Returns whether it is this one's. */
  mine(name: string): boolean {
    if (!this.lone) return true;
    if (!this.#first) this.wait();
    this.#open = name;
    this.#first = true;
    return this.#thread.index === 0;
  }
}
