import { createCache } from "../attention/create-cache.js";
import type { AttentionOptions } from "../attention/options.js";
import { MemoryError, SessionError } from "../errors.js";
import { fingerprint } from "../formats/fingerprint.js";
import type { ModelFile } from "../formats/model-file.js";
import type { KeyValueCache } from "../kv/cache.js";
import { PrefixIndex } from "../kv/prefix-index.js";
import type { Engine } from "../model/engine.js";
import type { Profile } from "../model/profile.js";
import { fallbackTemplate } from "../tokenizer/fallback-template.js";
import type { ModelTokenizer } from "../tokenizer/tokenizer.js";
import type { GenerateOptions } from "../types/generate-options.js";
import type { Completion, Piece, PieceReader } from "../types/results.js";
import type {
  AttentionStats,
  CalibrateOptions,
  Calibration,
  Chat,
  ChatOptions,
  ContinuationScore,
  Embeddings,
  EmbedOptions,
  Model,
  ModelStats,
  Sampler,
  SamplingOptions,
  ScoreOptions,
  Session,
  SignalOptions,
  TokenIds,
} from "../types.js";
import { answer } from "./answer.js";
import { AttentionMeter } from "./attention-meter.js";
import { EngineChat } from "./chat.js";
import { gather } from "./complete.js";
import { endWhenForgotten } from "./forgotten.js";
import { ModelSampler } from "./model-sampler.js";
import { type Prompt, promptTokens } from "./prompt.js";
import { Scheduler } from "./scheduler.js";
import { scoreContinuations, scoreWindow } from "./score.js";
import { EngineSession, type SessionHost } from "./session.js";
import { PassTimes } from "./speculation.js";
import { SpeedMeter } from "./speed.js";
import { type TemplateTokenizer, withTemplate } from "./template.js";

export interface ModelSettings {
  kvCache: "int8" | "f32";
  attention: AttentionOptions;
  contextLength: number;
  /** Most bytes of pages kept for sessions that begin alike. */
  prefixCacheBytes: number;
  threadsReason: string;
  profile: Profile | undefined;
}

/** A model whose engine runs in this thread. What few programs use is imported when it is used: it would delay the first token. */
export class EngineModel implements Model, SessionHost {
  readonly file: ModelFile;
  readonly engine: Engine;
  readonly tokenizer: TemplateTokenizer;
  readonly speed = new SpeedMeter();
  readonly scheduler: Scheduler;
  readonly prefixes: PrefixIndex;
  cachedTokens = 0;
  readonly attentionMeter = new AttentionMeter();
  readonly open = new Set<EngineSession>();
  lastLength = 0;
  readonly speculation: PassTimes | undefined;
  readonly #settings: ModelSettings;
  #disposed = false;
  #id: Promise<string> | undefined;

  constructor(file: ModelFile, engine: Engine, tokenizer: ModelTokenizer, settings: ModelSettings) {
    this.file = file;
    this.engine = engine;
    this.prefixes = new PrefixIndex(settings.prefixCacheBytes);
    this.scheduler = new Scheduler(engine, this.speed, () => this.prefixes.evict());
    this.tokenizer = withTemplate(tokenizer, file.tokenizer);
    this.#settings = settings;
    // What delta attention has left out cannot be taken back.
    if (settings.attention.kind !== "delta") this.speculation = new PassTimes();
  }

  get config() {
    return this.engine.config;
  }

  get sampling() {
    return this.file.sampling;
  }

  get contextLength(): number {
    return this.#settings.contextLength;
  }

  modelId(): Promise<string> {
    this.#id ??= fingerprint(this.file);
    return this.#id;
  }

  newCache(): KeyValueCache {
    this.#live();
    const { kvCache, attention, contextLength } = this.#settings;
    const options = { kind: kvCache, contextLength, attention, threads: this.engine.threads };
    for (;;)
      try {
        return createCache(this.engine.memory, this.config, { ...options, kernels: this.engine.kernels });
      } catch (error) {
        // What is kept for later must not stand in the way.
        if (!(error instanceof MemoryError && this.prefixes.evict())) throw error;
      }
  }

  generate(prompt: Prompt, options: GenerateOptions = {}): AsyncGenerator<Piece, void, undefined> {
    return endWhenForgotten(this.#generate(prompt, options));
  }

  async *#generate(prompt: Prompt, options: GenerateOptions): AsyncGenerator<Piece, void, undefined> {
    this.#live();
    const ids = await promptTokens(this.tokenizer, prompt, options);
    const session = new EngineSession(this);
    try {
      yield* answer(this, this.tokenizer, session, ids, options);
    } finally {
      await session.dispose();
    }
  }

  complete<T>(prompt: Prompt, options: GenerateOptions = {}): Promise<Completion<T>> {
    return gather<T>(this.generate(prompt, options), (id) => this.tokenizer.tokenText(id), options);
  }

  async *generateIn(
    session: EngineSession,
    prompt: string | TokenIds,
    options: GenerateOptions,
    reader?: PieceReader,
  ): AsyncGenerator<Piece, void, undefined> {
    const continues = typeof prompt === "string" && session.length > 0;
    let ids = continues ? this.tokenizer.encode(prompt) : await promptTokens(this.tokenizer, prompt);
    // The logits of the newest token are gone: it is computed again.
    if (ids.length === 0 && session.length > 0) ids = session.replace([...session.ids]);
    yield* answer(this, this.tokenizer, session, ids, options, { completeSession: true, reader });
  }

  createChat(options: ChatOptions = {}): Chat {
    const { tokenizer: data, notes } = this.file;
    if (!data.chatTemplate) {
      const { note } = fallbackTemplate(data);
      if (!notes.includes(note)) notes.push(note);
    }
    return new EngineChat(this, this.tokenizer, options);
  }

  createSession(): Session {
    return new EngineSession(this);
  }

  createSampler(options?: SamplingOptions): Sampler {
    this.#live();
    return new ModelSampler(this, options);
  }

  async restore(bytes: Uint8Array, options: SignalOptions = {}): Promise<Session> {
    const session = new EngineSession(this);
    try {
      await session.restore(bytes, options);
      return session;
    } catch (error) {
      await session.dispose();
      throw error;
    }
  }

  score(
    context: string | TokenIds | readonly TokenIds[],
    continuations: readonly (string | TokenIds)[],
    options: ScoreOptions = {},
  ): Promise<ContinuationScore[]> {
    return scoreContinuations(this, this.tokenizer, context, continuations, options);
  }

  scoreWindow(ids: TokenIds, options: ScoreOptions = {}): Promise<Float32Array> {
    return scoreWindow(this, ids, options);
  }

  async embed(texts: readonly (string | TokenIds)[], options: EmbedOptions = {}): Promise<Embeddings> {
    this.#live();
    return (await import("./embed.js")).embed(this, texts, options);
  }

  async calibrate(text: string | TokenIds, options: CalibrateOptions = {}): Promise<Calibration> {
    const ids = typeof text === "string" ? this.tokenizer.encode(text) : text;
    const { calibrateModel } = await import("./calibrate.js");
    return calibrateModel(this, this.file, ids, options);
  }

  stats(): ModelStats {
    const { engine, open, speed } = this;
    let kvBytes = 0;
    for (const session of open) kvBytes += session.kvBytes;
    const snapshots = [...open].map((session) => ({
      length: session.length - session.cachedTokens,
      stats: session.attentionStats(),
    }));
    const attention = this.attentionMeter.total(this.#noAttention(), snapshots);
    return {
      prefill: speed.get("prefill"),
      decode: speed.get("decode"),
      tokens: { computed: speed.get("prefill").tokens + speed.get("decode").tokens, cached: this.cachedTokens },
      passes: { ...speed.passes },
      memoryBytes: engine.memory.totalBytes,
      weightBytes: engine.weightBytes,
      kvBytes: open.size > 0 ? kvBytes : attention.kvBytes,
      speculation: { proposed: this.speculation?.proposed ?? 0, accepted: this.speculation?.accepted ?? 0 },
      contextLeft: this.contextLength - this.lastLength,
      kernel: engine.family,
      threads: engine.threads,
      threadsReason: this.#settings.threadsReason,
      attention,
      ffn: engine.ffnStats(),
      profile: this.#settings.profile?.times,
    };
  }

  resetStats(): void {
    this.speed.reset();
    this.cachedTokens = 0;
    this.speculation?.reset();
    this.attentionMeter.reset();
    this.engine.clearFfnStats();
    this.#settings.profile?.reset();
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    for (const session of [...this.open]) await session.dispose();
    this.#disposed = true;
    this.prefixes.clear();
    this.tokenizer.dispose();
    await this.engine.dispose();
    await this.file.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** The statistics of a session that has computed nothing. */
  #noAttention(): AttentionStats {
    const { kind = "full", grain = "element", basis = "raw" } = this.#settings.attention;
    const nothing = {
      deltaSparsity: 0,
      attentionSparsity: 0,
      skippedMacs: 0,
      bytesRead: 1,
      kvBytes: 0,
      kvBytesFull: 0,
    };
    return { kind, grain, basis, ...nothing, heads: [] };
  }

  #live(): void {
    if (this.#disposed) throw new SessionError("This model has been disposed of", {}, "Load it again");
  }
}
