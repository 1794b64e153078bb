import { checkSignal } from "../check-signal.js";
import { OptionError, SessionError, UnsupportedError } from "../errors.js";
import type { KeyValueCache } from "../kv/cache.js";
import { PAGE } from "../kv/layout.js";
import { pageKeys } from "../kv/prefix-index.js";
import type { HeadRanges } from "../model/slice.js";
import { stepwise, unlessAborted } from "../platform/waiting.js";
import type { GenerateOptions } from "../types/generate-options.js";
import type { Piece, PieceReader } from "../types/results.js";
import type { AttentionStats, PrefillOptions, Session, SignalOptions, TokenIds } from "../types.js";
import { checkIds } from "./check-ids.js";
import { checkLogits } from "./logits.js";
import type { Prefix, Sequence } from "./scheduler.js";
import type { HostOf } from "./session-host.js";
import { readSessionNote, sessionNote } from "./session-note.js";
import { SharedPages } from "./shared-pages.js";

/** What the sessions of one model share. */
export type SessionHost = HostOf<EngineSession>;

export interface AdvanceOptions extends PrefillOptions {
  /** What of the head the wanted rows need, as in `Slice`. */
  ranges?: readonly (HeadRanges | undefined)[] | undefined;
}

/** A session begins anew, with the pages of others, where these have so many more tokens of its prompt than it has itself. */
const WORTH_A_NEW_START = 4 * PAGE;

/** A sequence of tokens with its keys and values, on an engine in this thread. */
export class EngineSession implements Session, Sequence {
  readonly #host: SessionHost;
  #cache: KeyValueCache | undefined;
  #ids: number[] = [];
  #busy = false;
  /** Undefined where pages are not shared with other sessions of the model. */
  readonly #pages: SharedPages | undefined;
  #cachedTokens = 0;

  /** @param cache one with content, or of other options than those of the model: `shares` then says whether its pages do */
  constructor(host: SessionHost, cache?: KeyValueCache, ids: number[] = [], shares = cache === undefined) {
    if (host.engine.config.bidirectional)
      throw new UnsupportedError("This model makes embeddings and no text", {}, "Use embed()");
    this.#host = host;
    this.#cache = cache ?? host.newCache();
    this.#ids = ids;
    this.#pages = shares ? new SharedPages(host.prefixes, this.#cache) : undefined;
    host.open.add(this);
  }

  get length(): number {
    return this.#ids.length;
  }

  /** The tokens computed so far. */
  get ids(): readonly number[] {
    return this.#ids;
  }

  /** Tokens that were not computed but taken from other sessions. */
  get cachedTokens(): number {
    return this.#cachedTokens;
  }

  /** Bytes reserved for keys and values. */
  get kvBytes(): number {
    return this.#cache ? this.#cache.keyBytes + this.#cache.valueBytes : 0;
  }

  /** What attention did in this session. */
  attentionStats(): AttentionStats {
    return this.cache.stats();
  }

  /** @throws SessionError when it has been disposed of */
  get cache(): KeyValueCache {
    if (!this.#cache) throw new SessionError("This session has been disposed of", {}, "Create a new one");
    return this.#cache;
  }

  prefill(ids: TokenIds, options: PrefillOptions = {}): Promise<Float32Array> {
    const { vocab } = this.#host.engine.config;
    if (!options.allLogits) return this.advance(ids, options, (address) => this.#copy(address, vocab));
    let all: Float32Array | undefined;
    return this.advanceAll(ids, options, (address, tokens, done) => {
      all ??= new Float32Array(ids.length * vocab);
      checkLogits(this.#host.engine, address, tokens);
      all.set(this.#view(address, tokens * vocab), done * vocab);
    }).then(() => all as Float32Array);
  }

  step(id: number, { signal }: SignalOptions = {}): Promise<Float32Array> {
    return this.advance([id], { signal }, (address) => this.#copy(address, this.#host.engine.config.vocab));
  }

  /**
   * Appends tokens and hands the address of the last one's logits to `read`, before anything else can run. Other
   * sessions of the model may share the passes.
   * @throws SessionError, OptionError, or the signal's reason; the tokens of finished passes stay in the session
   */
  async advance<Result>(ids: TokenIds, options: AdvanceOptions, read: (logits: number) => Result): Promise<Result> {
    let result: Result | undefined;
    await this.#compute(ids, options, "last", (piece, logits, done) => {
      if (done + piece.length === ids.length) result = read(logits);
    });
    return result as Result;
  }

  /** The same with the logits of every token: `read` is called once per pass. */
  advanceAll(
    ids: TokenIds,
    options: PrefillOptions,
    read: (logits: number, tokens: number, done: number) => void,
  ): Promise<void> {
    return this.#compute(ids, options, "all", (piece, logits, done) => read(logits, piece.length, done));
  }

  /** The same for tokens that may be taken back; they are booked as decoded. */
  verify(
    ids: TokenIds,
    options: AdvanceOptions,
    read: (logits: number, tokens: number, done: number) => void,
  ): Promise<void> {
    return this.#compute(ids, options, "all", (piece, logits, done) => read(logits, piece.length, done), "decode");
  }

  /** Forgets what it holds beyond `length` tokens, unless it has been disposed of or is busy. */
  takeBack(length: number): void {
    if (!this.#cache || this.#busy || this.length <= length) return;
    this.cut(length);
  }

  generate(prompt: string | TokenIds, options: GenerateOptions = {}, reader?: PieceReader): AsyncIterable<Piece> {
    return this.#host.generateIn(this, prompt, options, reader);
  }

  async truncate(length: number): Promise<number> {
    if (!Number.isInteger(length) || length < 0)
      throw new OptionError(`${String(length)} is not a length`, { key: "length" }, "Give a whole number of tokens");
    return this.cut(length);
  }

  /** Forgets what follows the first `length` tokens; may forget a little more. Returns the new length. */
  cut(length: number): number {
    this.#idle();
    const kept = this.cache.truncate(Math.min(length, this.length));
    this.#ids.length = kept;
    this.#pages?.forget(kept);
    if (kept === 0) this.#cachedTokens = 0;
    return kept;
  }

  /**
   * Takes back what the session holds beyond its common start with `tokens`. Returns those that are still to be computed,
   * at least the last one.
   */
  replace(tokens: TokenIds): number[] {
    const ids = this.#ids;
    let common = 0;
    while (common < ids.length && common < tokens.length - 1 && ids[common] === tokens[common]) common++;
    // Another session may know much more of them: a new start takes its pages.
    if (this.#pages && this.#pages.known(tokens) > common + WORTH_A_NEW_START) common = 0;
    if (common < ids.length) common = this.cut(common);
    return Array.from(tokens).slice(common);
  }

  async fork({ signal }: SignalOptions = {}): Promise<EngineSession> {
    checkSignal(signal);
    signal?.throwIfAborted();
    this.#idle();
    const copy = new EngineSession(this.#host, this.cache.fork(), [...this.#ids], this.#pages !== undefined);
    if (copy.#pages) copy.#pages.restored = this.#pages?.restored === true;
    return copy;
  }

  async save({ signal }: SignalOptions = {}): Promise<Uint8Array> {
    checkSignal(signal);
    this.#idle();
    this.#busy = true;
    try {
      const model = await unlessAborted(this.#host.modelId(), signal);
      return await stepwise(this.cache.saving(sessionNote(model, this.#ids)), signal);
    } finally {
      this.#busy = false;
    }
  }

  /** Replaces the content of this new session by what `save` wrote. @throws SessionError with nothing changed */
  async restore(bytes: Uint8Array, { signal }: SignalOptions = {}): Promise<void> {
    checkSignal(signal);
    if (!(bytes instanceof Uint8Array))
      throw new SessionError("A saved session is a Uint8Array", {}, "Give what `session.save()` returned");
    const model = await unlessAborted(this.#host.modelId(), signal);
    let ids: number[] = [];
    const steps = this.cache.restoring(bytes, (note, length) => {
      ids = readSessionNote(note, model, length, this.#host.engine.config.vocab);
    });
    await stepwise(steps, signal);
    this.#ids = ids;
    if (this.#pages) this.#pages.restored = true;
  }

  async dispose(): Promise<void> {
    const cache = this.#cache;
    if (!cache) return;
    this.#host.attentionMeter.add(this.length - this.#cachedTokens, cache.stats());
    this.#cache = undefined;
    this.#pages?.dispose();
    this.#host.scheduler.cancel(this, new SessionError("This session has been disposed of", {}, "Create a new one"));
    this.#ids = [];
    this.#host.open.delete(this);
    this.#host.engine.close(cache);
    cache.dispose();
  }

  async #compute(
    ids: TokenIds,
    options: AdvanceOptions,
    want: "last" | "all",
    computed: (piece: readonly number[], logits: number, done: number) => void,
    asked?: "prefill" | "decode",
  ): Promise<void> {
    this.#check(ids);
    const work = asked ?? (ids.length === 1 ? "decode" : "prefill");
    const { signal, onProgress, ranges } = options;
    checkSignal(signal);
    this.#busy = true;
    try {
      await this.#host.scheduler.run({
        sequence: this,
        ids,
        want,
        ranges,
        work,
        signal,
        prefix: this.#prefixOf(ids, want),
        computed: (piece, logits, done) => {
          for (const id of piece) this.#ids.push(id);
          this.#pages?.offer(this.#ids);
          this.#host.lastLength = this.#ids.length;
          computed(piece, logits, done);
          onProgress?.({ phase: "prefill", fraction: (done + piece.length) / ids.length, bytes: 0 });
        },
      });
    } finally {
      this.#busy = false;
    }
  }

  /** What a prompt has in common with others. */
  #prefixOf(ids: TokenIds, want: "last" | "all"): Prefix | undefined {
    const pages = this.#pages;
    if (!pages || this.#host.prefixes.budget === 0 || this.length + ids.length <= PAGE) return undefined;
    // A single token more is nothing to wait for, and a key of all tokens for each would take longer with every token.
    if (ids.length === 1) return undefined;
    const take = () => {
      const taken = pages.take(ids);
      for (let i = 0; i < taken; i++) this.#ids.push(ids[i] as number);
      this.#cachedTokens += taken;
      this.#host.cachedTokens += taken;
      return taken;
    };
    // Pages have no logits.
    return { keys: pageKeys(this.#ids, ids), take: want === "all" ? undefined : take };
  }

  #check(ids: TokenIds): void {
    this.#idle();
    const { config } = this.#host.engine;
    checkIds(ids, config.vocab, this.length, this.cache.descriptor.contextLength);
  }

  /** @throws SessionError after `dispose` */
  assertLive(): void {
    void this.cache;
  }

  #idle(): void {
    if (this.cache && this.#busy)
      throw new SessionError(
        "This session is busy",
        {},
        "Await one call before the next, or use fork() for parallel work",
      );
  }

  #view(address: number, length: number): Float32Array {
    return this.#host.engine.memory.f32(address, length);
  }

  #copy(address: number, length: number): Float32Array {
    checkLogits(this.#host.engine, address, 1);
    // A copy by the constructor takes five times as long where memory is shared.
    return this.#view(address, length).slice();
  }
}
