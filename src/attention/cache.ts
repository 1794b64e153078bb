import { SessionError } from "../errors.js";
import type { ModelConfig } from "../model/config.js";
import type { Memory } from "../runtime/memory.js";
import type { AttentionOptions } from "./options.js";

/** Everything a thread must know about a cache: numbers only, cloned once; what changes lives in the model's memory. */
export interface CacheDescriptor {
  readonly kind: "int8" | "f32";
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly contextLength: number;
  /** Address of the table of key blocks: one u32 address per 64 tokens. */
  readonly keyTable: number;
  /** Address of the table of value blocks. */
  readonly valueTable: number;
}

export interface CacheOptions {
  kind: "int8" | "f32";
  /** Most tokens the cache can hold. */
  contextLength: number;
  attention: AttentionOptions;
}

/** Keys and values of one sequence. Lives on the coordinating thread; no other thread may run while it is changed. */
export interface KeyValueCache {
  readonly descriptor: CacheDescriptor;
  /** Tokens committed. */
  readonly length: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  /** Makes room for `tokens` more. @throws SessionError beyond the context length. @throws MemoryError; the cache stays usable. */
  reserve(tokens: number): void;
  /** Declares that the forward pass has stored `tokens` more. */
  commit(tokens: number): void;
  /** Forgets what follows the first `length` tokens. Returns the length kept, which delta caches may have to make smaller; prefill again from there. */
  truncate(length: number): number;
  /** A second cache with the same content; full blocks are shared until one of them changes. */
  fork(): KeyValueCache;
  save(): Uint8Array<ArrayBuffer>;
  /** Replaces the content. @throws SessionError when the bytes are damaged or come from another model or kind of cache. */
  restore(bytes: Uint8Array): void;
  dispose(): void;
}

export function createCache(_memory: Memory, _config: ModelConfig, _options: CacheOptions): KeyValueCache {
  throw new SessionError("not built yet");
}
