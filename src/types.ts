/// <reference lib="esnext.disposable" preserve="true" />
// The public types. Those that a model's parts share are in types/, and look at nothing else.
import type { AttentionOptions } from "./attention/options.js";
import type { ModelConfig } from "./config.js";
import type { ModelFolder } from "./formats/folder.js";
import type { I2SLayout, ModelFile } from "./formats/model-file.js";
import type { ByteSource } from "./formats/source.js";
import type { HubOptions } from "./hub/settings.js";
import type { KernelSources } from "./kernels/sources.js";
import type { Calibration } from "./kv/calibration.js";
import type { AttentionStats } from "./kv/counters.js";
import type { FfnLayersStats } from "./model/ffn-stats.js";
import type { Chat, ChatOptions } from "./types/chat.js";
import type { Progress, SignalOptions, TokenIds } from "./types/common.js";
import type { GenerateOptions } from "./types/generate-options.js";
import type { ChatMessage } from "./types/messages.js";
import type { Completion, Piece } from "./types/results.js";
import type { Sampler } from "./types/sampler.js";
import type { SamplingOptions } from "./types/sampling-options.js";
import type { FromSchema } from "./types/schema-type.js";
import type { Session } from "./types/session.js";
import type { Tokenizer } from "./types/tokenizer.js";
import type { JsonSchema } from "./types/tools.js";

export type { AttentionOptions } from "./attention/options.js";
export type { HubOptions } from "./hub/settings.js";
export type { Calibration } from "./kv/calibration.js";
export type { AttentionStats } from "./kv/counters.js";
export type { FfnLayersStats, FfnStats } from "./model/ffn-stats.js";
export type { Chat, ChatOptions } from "./types/chat.js";
export type { Progress, SignalOptions, TokenIds } from "./types/common.js";
export type { ContextShift, GenerateOptions } from "./types/generate-options.js";
export type { ChatMessage, TemplateOptions } from "./types/messages.js";
export type { Completion, FinishReason, Piece, TokenLogprob, Usage } from "./types/results.js";
export type { Choice, SampleOptions, Sampler } from "./types/sampler.js";
export type { SamplingOptions } from "./types/sampling-options.js";
export type { FromSchema } from "./types/schema-type.js";
export type { PrefillOptions, Session } from "./types/session.js";
export type { Tokenizer } from "./types/tokenizer.js";
export type { JsonSchema, ToolCall, ToolDefinition } from "./types/tools.js";

/**
 * What a model is loaded from: the name of one on the Hugging Face hub (`"hf:owner/repository"`, with `:Q4_K_M` or
 * `/file.gguf` to choose among its files and `@revision`; short names such as `"smollm2-135m"`), which is downloaded once;
 * `"embedded"` (the small story model inside the package), a path, a URL, bytes, or a source of one's own. A path or URL names a GGUF file or a Hugging Face folder (`config.json` + `*.safetensors`).
 * `"random:bitnet-2b"`, `"random:llama-1b"` and `"random:smollm2"` are models of that shape with random weights, for
 * measuring speed (`"random:bitnet-2b:0.8"`: with 80 % of its gates zero). `filesFolder` makes a folder of files at hand, such as those of a directory picker.
 */
export type ModelSource = string | URL | Blob | Uint8Array | ByteSource | ModelFolder;

/** Options of `loadModel`. */
export interface LoadOptions {
  /** Threads that compute. Default: as many as help on this machine; 1 where no shared memory is to be had. */
  threads?: number | undefined;
  /**
   * Where the engine runs in Node, Deno and Bun: in a `worker`, so that the caller's event loop is never held up, or in
   * the thread of the `caller`, which is then blocked for the length of a forward pass at a time, and is a little sooner
   * ready. Default `worker`. On web pages it is always a worker.
   */
  engineThread?: "worker" | "caller" | undefined;
  /** Build of the kernels. Default: the fastest that passes its start-up test. Both give the same bits. */
  kernel?: "simd" | "relaxed" | undefined;
  /**
   * Most tokens of one session. Default: the smaller of the model's own context length and 8192; of models with LongRoPE
   * (Phi-3, Phi-4-mini) at most the length of their original training. A longer context takes their long factors, for
   * every position of every session.
   */
  contextLength?: number | undefined;
  /** How keys and values are kept. Default `int8`. */
  kvCache?: "int8" | "f32" | undefined;
  /** Bits in which the output head is kept. Default: as near to the file as the kernels have it. */
  head?: "f16" | "q8" | "q6" | "q4" | undefined;
  /**
   * Byte layout of I2_S weights, which their file does not name. Default: found from the bytes; `block128`, that of the
   * official files, when they do not tell. `block64` comes from converters on ARM since November 2025.
   */
  i2sLayout?: I2SLayout | undefined;
  /** Tokens computed together in prefill. Affects speed and memory, never a result. */
  prefillChunk?: number | undefined;
  /**
   * Most bytes of keys and values that are kept, when their sessions are gone, for sessions that begin with the same
   * tokens; what was not used for longest goes first. 0 keeps nothing. Never changes a result. Default: those of one full
   * context, at most 256 MiB.
   */
  prefixCacheBytes?: number | undefined;
  /** Where models come from by name, and where they are kept. */
  hub?: HubOptions | undefined;
  /** Default: full attention. */
  attention?: AttentionOptions | undefined;
  /** Measure the time of each operation of the forward pass, for `stats().profile`; costs a little speed. Default false. */
  profile?: boolean | undefined;
  /**
   * Browsers: address of the engine's script, `dist/browser/deltallm-engine.js` of this package, where it is served from
   * the page's own origin. Default: the file beside the module; where a bundler has not taken it along, a copy in the
   * package, started from a Blob URL.
   */
  workerUrl?: string | URL | undefined;
  /**
   * Compiled kernels, or their bytes, to be used instead of those in the package, by build (`simd`, `relaxed`,
   * `simd-shared`, `relaxed-shared`). For pages that compile WebAssembly themselves.
   */
  kernels?: KernelSources | undefined;
  /** Called while the model is read and made ready. */
  onProgress?: ((progress: Progress) => void) | undefined;
  /** Stops loading; everything already taken is given back. */
  signal?: AbortSignal | undefined;
}

/** Speed of one kind of work. */
export interface Speed {
  /** Tokens computed. */
  tokens: number;
  /** Wall-clock time, in milliseconds. */
  ms: number;
  tokensPerSecond: number;
}

/** Speed, memory and the choices made for this machine. */
export interface ModelStats {
  prefill: Speed;
  decode: Speed;
  /** Tokens computed, and tokens of prompts that were taken from earlier sessions instead. */
  tokens: { computed: number; cached: number };
  /** Passes computed, and the sequences they computed something of: their ratio is the mean size of a batch. */
  passes: { count: number; sequences: number };
  /** Size of the linear memory, in bytes. */
  memoryBytes: number;
  weightBytes: number;
  /**
   * Bytes reserved for keys and values by the sessions that are open; when none is, by the longest one since the model
   * was loaded or `resetStats` was called.
   */
  kvBytes: number;
  /** Tokens that still fit the session that computed last; the whole context when none has. */
  contextLeft: number;
  /** Tokens proposed by speculation, and those of them that were right. */
  speculation: { proposed: number; accepted: number };
  kernel: "simd" | "relaxed";
  threads: number;
  /** Why there are that many threads. */
  threadsReason: string;
  attention: AttentionStats;
  /**
   * What zeros saved in the feed-forward networks since the model was loaded or `resetStats` was called, together and by
   * layer; only for BitNet models with relu².
   */
  ffn?: FfnLayersStats | undefined;
  /** Milliseconds by operation since the model was loaded or `resetStats` was called; only with the option `profile`. */
  profile?: Record<string, number> | undefined;
}

/** Likelihood of one continuation. */
export interface ContinuationScore {
  /** Sum of the logarithms of the tokens' probabilities. */
  logprob: number;
  /** One logarithm per token. */
  logprobs: Float32Array;
  /** Whether every token was the likeliest one at its place. */
  greedy: boolean;
}

/** Options of `Model.score` and `Model.scoreWindow`. */
export interface ScoreOptions extends SignalOptions {
  /** Told after each pass of a window, and after each continuation; `fraction` of them. */
  onProgress?: ((progress: Progress) => void) | undefined;
}

/** Options of `Model.embed`. */
export interface EmbedOptions {
  /**
   * How the vectors of a text's tokens become one. Default: what the model's file says; where it says nothing `last`, the
   * last token's.
   */
  pooling?: "mean" | "cls" | "last" | undefined;
  /** Make vectors of length 1. Default true. */
  normalize?: boolean | undefined;
  signal?: AbortSignal | undefined;
  /** Told after each pass; `fraction` of the tokens. */
  onProgress?: ((progress: Progress) => void) | undefined;
}

/** What `Model.embed` gives. */
export interface Embeddings {
  /** One vector per text. */
  embeddings: Float32Array[];
  /** Tokens of all texts, first and last tokens included. */
  tokens: number;
}

/** Options of `Model.calibrate`. */
export interface CalibrateOptions {
  /** Tokens of one window of the text: as long as the contexts to be served. Default: the context length, 8192 at most. */
  windowTokens?: number | undefined;
  /** Windows that are used, from the start of the text. Default 2, and 1 of those longer than 4096 tokens. */
  windows?: number | undefined;
  /** `raw`: leave the score basis out, which makes a smaller result. Default `score`: both. */
  basis?: "raw" | "score" | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((fraction: number) => void) | undefined;
}

/** A model ready to compute. */
export interface Model {
  readonly config: ModelConfig;
  /** Most tokens of one session. */
  readonly contextLength: number;
  readonly tokenizer: Tokenizer;
  /** The file it came from: metadata and notes. */
  readonly file: ModelFile;
  /** Speeds, bytes and choices so far. */
  stats(): ModelStats;
  /** Starts speeds, counts and profile anew; what attention left out in open sessions stays. */
  resetStats(): void;
  /**
   * Completes a text or ids, or answers a conversation, which the model's template turns into text. Every generation that
   * is not aborted ends with a piece that has `finishReason` and `usage`.
   * @throws SessionError when the prompt does not fit the context, see `contextOverflow`
   */
  generate(prompt: string | TokenIds | readonly ChatMessage[], options?: GenerateOptions): AsyncIterable<Piece>;
  /** The same in one call: the whole answer. With a schema whose type is literal, `value` has the type it describes. */
  complete<const Schema extends JsonSchema>(
    prompt: string | TokenIds | readonly ChatMessage[],
    options: GenerateOptions & { schema: Schema },
  ): Promise<Completion<FromSchema<Schema>>>;
  complete<T = unknown>(
    prompt: string | TokenIds | readonly ChatMessage[],
    options?: GenerateOptions,
  ): Promise<Completion<T>>;
  /** A model without a chat template gets a plain one, and `file.notes` says so. */
  createChat(options?: ChatOptions): Chat;
  createSession(): Session;
  /**
   * Chooses tokens from logits, for loops of one's own over `Session.prefill` and `Session.step`.
   * @throws OptionError for options that cannot be used; with the engine in another thread `sample` is what throws
   */
  createSampler(options?: SamplingOptions): Sampler;
  /** A session saved by the same model with the same options. */
  restore(bytes: Uint8Array, options?: SignalOptions): Promise<Session>;
  /** How likely each continuation is after the context, or after the one of the contexts with its index. */
  score(
    context: string | TokenIds | readonly TokenIds[],
    continuations: readonly (string | TokenIds)[],
    options?: ScoreOptions,
  ): Promise<ContinuationScore[]>;
  /** Logarithms of the probabilities of `ids[1 …]`, each after all ids before it. */
  scoreWindow(ids: TokenIds, options?: ScoreOptions): Promise<Float32Array>;
  /**
   * Texts as vectors: what the last norm makes of their tokens, pooled. Texts share passes; a vector does not depend on
   * the others. Models made for embeddings (Qwen3-Embedding, EmbeddingGemma) want a prefix that says what the text is; it
   * is the caller's.
   * @param texts or token ids, to which nothing is added
   * @throws OptionError for a text without tokens or longer than the context
   */
  embed(texts: readonly (string | TokenIds)[], options?: EmbedOptions): Promise<Embeddings>;
  /**
   * Measures what delta attention needs to know about this model, on a text: key ranges, thresholds for every sparsity,
   * the score basis. For `attention.calibration`.
   */
  calibrate(text: string | TokenIds, options?: CalibrateOptions): Promise<Calibration>;
  /** Gives all memory and threads back. Any number of calls is fine. */
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Type of `loadModel`. */
export type LoadModel = (source: ModelSource, options?: LoadOptions) => Promise<Model>;
