import { MemoryError } from "../errors.js";
import type { KeyValueCache } from "../kv/cache.js";
import { PAGE } from "../kv/layout.js";
import type { Engine } from "../model/engine.js";
import type { HeadRanges, Slice } from "../model/slice.js";
import { yieldToEventLoop } from "../platform/yield.js";
import type { TokenIds } from "../types.js";
import type { SpeedMeter } from "./speed.js";

/** A sequence that tokens are appended to. */
export interface Sequence {
  /** @throws SessionError when it has been disposed of */
  readonly cache: KeyValueCache;
}

/** What requests have in common with others. */
export interface Prefix {
  /** One for each whole page of the sequence as it will be. */
  readonly keys: readonly string[];
  /** Takes the pages that are known by now into the empty sequence; returns the tokens taken. Undefined: takes none. */
  readonly take: (() => number) | undefined;
}

/** Tokens to be appended to a sequence. */
export interface Request {
  sequence: Sequence;
  ids: TokenIds;
  /** Logits of which of the tokens. */
  want: "last" | "all";
  /** What of the head each of these needs, as in `Slice`. */
  ranges?: readonly (HeadRanges | undefined)[] | undefined;
  /** What it is booked as. */
  work: "prefill" | "decode";
  signal?: AbortSignal | undefined;
  prefix?: Prefix | undefined;
  /**
   * Told after each pass, before anything else can run.
   * @param piece the tokens just appended, `done` of `ids` were before them
   * @param logits address of the last one's logits, or of those of all; 0 when none of these are wanted
   */
  computed(piece: readonly number[], logits: number, done: number): void;
}

interface Job {
  readonly request: Request;
  /** In the order they came. */
  order: number;
  done: number;
  resolve(): void;
  reject(reason: unknown): void;
}

interface Piece {
  job: Job;
  slice: Slice<KeyValueCache>;
  ids: number[];
}

/** Requests with no more tokens left than this are not made to wait for longer ones. */
const SHORT = 8;
/** Rows of a pass while somebody waits for the next token: fewer make prefill slow, more make decode stutter. */
const SHARED_ROWS = 16;
/** A pass takes at least so many tokens of a long request, however many such requests share it. */
const LEAST_PIECE = 4;

/**
 * Computes what the sequences of one engine ask for, together: every pass takes the next token of all that decode and a
 * piece of what is to be prefilled. Nobody waits for more than one pass, as long as there are no more sequences than a
 * pass has room for; then they take turns. What a sequence gets never depends on the others.
 */
export class Scheduler {
  readonly #engine: Engine;
  readonly #speed: SpeedMeter;
  #waiting: Job[] = [];
  #running = false;
  #count = 0;
  readonly #makeRoom: () => boolean;

  /** @param makeRoom gives up memory nobody needs now; false when there is none */
  constructor(engine: Engine, speed: SpeedMeter, makeRoom: () => boolean) {
    this.#makeRoom = makeRoom;
    this.#engine = engine;
    this.#speed = speed;
  }

  /**
   * Resolves when all tokens are appended.
   * @throws MemoryError, SessionError, KernelError, the signal's reason, or what `computed` threw; the tokens of
   * finished passes stay in the sequence
   */
  run(request: Request): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request, order: this.#count++, done: 0, resolve, reject });
      if (!this.#running) void this.#work();
    });
  }

  /** Whether any request waits for a pass. */
  get busy(): boolean {
    return this.#waiting.length > 0;
  }

  /** Takes tokens off the books that were computed to no use; the time they took stays. */
  unbook(work: "prefill" | "decode", tokens: number): void {
    this.#speed.add(work, -tokens, 0);
  }

  /** Fails what a sequence still waits for. */
  cancel(sequence: Sequence, reason: unknown): void {
    for (const job of this.#waiting) if (job.request.sequence === sequence) this.#end(job, () => job.reject(reason));
  }

  async #work(): Promise<void> {
    this.#running = true;
    // Those who ask at the same time share the first pass already.
    await yieldToEventLoop();
    while (this.#waiting.length > 0) {
      for (const job of this.#waiting)
        if (job.request.signal?.aborted) this.#end(job, () => job.reject(job.request.signal?.reason));
      this.#pass(this.#nextPieces());
      await yieldToEventLoop();
    }
    this.#running = false;
  }

  /** What the next pass computes: short requests first, then an equal piece of each long one, the longest waiting first. */
  #nextPieces(): Piece[] {
    const { batch, prefillChunk } = this.#engine;
    const short: Job[] = [];
    const long: Job[] = [];
    for (const job of this.#waiting) if (!this.#begins(job)) (left(job) <= SHORT ? short : long).push(job);
    const pieces: Piece[] = [];
    let room = batch;
    const take = (job: Job, limit: number) => {
      const tokens = Math.min(left(job), limit, prefillChunk, room);
      const piece = tokens > 0 ? this.#piece(job, tokens) : undefined;
      if (!piece) return;
      room -= tokens;
      pieces.push(piece);
    };
    for (const job of short) take(job, SHORT);
    if (pieces.length > 0) room = Math.min(room, Math.max(SHARED_ROWS - (batch - room), LEAST_PIECE));
    const each = Math.max(Math.floor(room / Math.max(long.length, 1)), LEAST_PIECE);
    for (const job of long) take(job, each);
    return pieces;
  }

  /**
   * Whether a sequence that is still empty has to wait, since an earlier request computes pages it begins with. When not,
   * it takes those that are known.
   */
  #begins(job: Job): boolean {
    const { prefix } = job.request;
    try {
      if (!prefix?.take || job.done > 0 || job.request.sequence.cache.length > 0) return false;
      for (const other of this.#waiting) {
        if (other.order >= job.order || !other.request.prefix) continue;
        const common = commonKeys(other.request.prefix.keys, prefix.keys);
        if (common > 0 && other.request.sequence.cache.length < common * PAGE) return true;
      }
      job.done = prefix.take();
    } catch (error) {
      if (error instanceof MemoryError) return false;
      this.#end(job, () => job.reject(error));
      return true;
    }
    return false;
  }

  #piece(job: Job, tokens: number): Piece | undefined {
    try {
      const { cache } = job.request.sequence;
      const ids: number[] = [];
      for (let i = 0; i < tokens; i++) ids.push(job.request.ids[job.done + i] as number);
      const want = job.request.want === "all" || left(job) === tokens ? job.request.want : "none";
      const ranges = want === "all" ? job.request.ranges?.slice(job.done, job.done + tokens) : job.request.ranges;
      return { job, ids, slice: { cache, position: cache.length, tokens, work: job.request.work, want, ranges } };
    } catch (error) {
      this.#end(job, () => job.reject(error));
      return undefined;
    }
  }

  #pass(asked: readonly Piece[]): void {
    if (asked.length === 0) return;
    // Rows that need the whole head stand together: they share the reading of it.
    const pieces = asked.length > 1 ? asked.toSorted((a, b) => Number(isPart(a)) - Number(isPart(b))) : asked;
    const start = performance.now();
    let logits: number[];
    try {
      const [first] = pieces;
      logits =
        pieces.length === 1 && first
          ? this.#engine.forward(first.ids, [first.slice])
          : this.#engine.forward(
              pieces.flatMap(({ ids }) => ids),
              pieces.map(({ slice }) => slice),
            );
    } catch (error) {
      if (error instanceof MemoryError && this.#makeRoom()) this.#pass(pieces);
      // Who does not find room must not take the others down.
      else if (error instanceof MemoryError && pieces.length > 1) for (const piece of pieces) this.#pass([piece]);
      else for (const { job } of pieces) this.#end(job, () => job.reject(error));
      return;
    }
    this.#book(pieces, performance.now() - start);
    for (let i = 0; i < pieces.length; i++) {
      const { job, ids } = pieces[i] as Piece;
      const { done } = job;
      job.done += ids.length;
      try {
        job.request.computed(ids, logits[i] as number, done);
        if (left(job) === 0) this.#end(job, job.resolve);
      } catch (error) {
        this.#end(job, () => job.reject(error));
      }
    }
    if (this.#waiting.length < 2) return;
    const served = new Set(pieces.map(({ job }) => job));
    this.#waiting = [
      ...this.#waiting.filter((job) => !served.has(job)),
      ...this.#waiting.filter((job) => served.has(job)),
    ];
  }

  /** A pass takes as long for a row of one kind as of the other. */
  #book(pieces: readonly Piece[], ms: number): void {
    let rows = 0;
    for (const { ids } of pieces) rows += ids.length;
    this.#speed.pass(pieces.length);
    for (const { slice } of pieces) this.#speed.add(slice.work, slice.tokens, (ms * slice.tokens) / rows);
  }

  /** Takes a request out, unless it is out already. */
  #end(job: Job, settle: () => void): void {
    const at = this.#waiting.indexOf(job);
    if (at < 0) return;
    this.#waiting = this.#waiting.toSpliced(at, 1);
    settle();
  }
}

function isPart({ slice }: Piece): boolean {
  return slice.ranges?.some((ranges) => ranges !== undefined) ?? false;
}

function commonKeys(a: readonly string[], b: readonly string[]): number {
  let common = 0;
  while (common < a.length && common < b.length && a[common] === b[common]) common++;
  return common;
}

function left(job: Job): number {
  return job.request.ids.length - job.done;
}
