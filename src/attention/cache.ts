import { OptionError, SessionError, UnsupportedError } from "../errors.js";
import type { ModelConfig } from "../model/config.js";
import type { Memory } from "../runtime/memory.js";
import { BlockPool, BlockTable } from "./blocks.js";
import { BLOCK, blockBytes, type CacheKind } from "./layout.js";
import type { AttentionOptions } from "./options.js";

/** Everything a thread must know about a cache: numbers only, cloned once; what changes lives in the model's memory. */
export interface CacheDescriptor {
  readonly kind: CacheKind;
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
  kind: CacheKind;
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
  /** Declares that the forward pass has stored `tokens` more, for which room was reserved. */
  commit(tokens: number): void;
  /** Forgets what follows the first `length` tokens. Returns the length kept, which delta caches may have to make smaller; prefill again from there. */
  truncate(length: number): number;
  /** A second cache with the same content; full blocks are shared until one of them changes. @throws MemoryError */
  fork(): KeyValueCache;
  /** The content as bytes that `restore` takes, on any machine. */
  save(): Uint8Array<ArrayBuffer>;
  /** Replaces the content. @throws SessionError when the bytes are damaged or come from another shape or kind of cache. @throws MemoryError */
  restore(bytes: Uint8Array): void;
  /** Gives all memory back; the cache cannot be used any more. Doing it twice is harmless. */
  dispose(): void;
}

/**
 * Makes an empty cache.
 * @throws OptionError for options that contradict each other, UnsupportedError for shapes the kernels do not run, MemoryError
 */
export function createCache(memory: Memory, config: ModelConfig, options: CacheOptions): KeyValueCache {
  const { headDim, heads, kvHeads } = config;
  if (headDim % 16 || headDim < 16 || headDim > 256)
    throw new UnsupportedError(`Attention heads of ${headDim} elements are not supported`, { key: "headDim" });
  if (heads % kvHeads || heads / kvHeads > 32)
    throw new UnsupportedError(`${heads} query heads for ${kvHeads} KV heads are not supported`, { key: "heads" });
  if (!Number.isInteger(options.contextLength) || options.contextLength < 1)
    throw new OptionError(`The context length must be a positive number of tokens, not ${options.contextLength}`);
  if (options.attention.kind === "delta") throw new UnsupportedError("Delta attention is not built yet");
  return new FullCache(new BlockPool(memory), config, options);
}

const MAGIC = 0x564b4c44; // "DLKV"
const VERSION = 1;
const HEADER = 32;

class FullCache implements KeyValueCache {
  readonly descriptor: CacheDescriptor;
  readonly #pool: BlockPool;
  readonly #config: ModelConfig;
  readonly #options: CacheOptions;
  readonly #keys: BlockTable;
  readonly #values: BlockTable;
  #length = 0;
  #disposed = false;

  constructor(pool: BlockPool, config: ModelConfig, options: CacheOptions) {
    this.#pool = pool;
    this.#config = config;
    this.#options = options;
    const blocks = Math.ceil(options.contextLength / BLOCK);
    const bytes = blockBytes(options.kind, config);
    this.#keys = new BlockTable(pool, blocks, bytes);
    try {
      this.#values = new BlockTable(pool, blocks, bytes);
    } catch (error) {
      this.#keys.dispose();
      throw error;
    }
    this.descriptor = {
      kind: options.kind,
      layers: config.layers,
      heads: config.heads,
      kvHeads: config.kvHeads,
      headDim: config.headDim,
      contextLength: options.contextLength,
      keyTable: this.#keys.address,
      valueTable: this.#values.address,
    };
  }

  get length(): number {
    return this.#length;
  }
  get keyBytes(): number {
    return this.#keys.bytes;
  }
  get valueBytes(): number {
    return this.#values.bytes;
  }

  reserve(tokens: number): void {
    this.#alive();
    const length = this.#length + tokens;
    if (!(tokens >= 0) || length > this.#options.contextLength)
      throw new SessionError(
        `${tokens} more tokens do not fit: ${this.#length} of ${this.#options.contextLength} are used`,
        {},
        "Start a new session, truncate this one, or load the model with a longer contextLength",
      );
    const blocks = Math.ceil(length / BLOCK);
    const before = this.#keys.count;
    try {
      if (tokens > 0 && this.#length % BLOCK) {
        this.#keys.own(before - 1);
        this.#values.own(before - 1);
      }
      this.#keys.grow(blocks);
      this.#values.grow(blocks);
    } catch (error) {
      this.#keys.shrink(before);
      this.#values.shrink(before);
      throw error;
    }
  }

  commit(tokens: number): void {
    this.#alive();
    if (!(tokens >= 0) || this.#length + tokens > this.#keys.count * BLOCK)
      throw new SessionError(`${tokens} tokens were committed without room for them`, {}, "Reserve them first");
    this.#length += tokens;
  }

  truncate(length: number): number {
    this.#alive();
    if (!Number.isInteger(length) || length < 0)
      throw new SessionError(`A cache cannot be truncated to ${length} tokens`);
    this.#length = Math.min(length, this.#length);
    const blocks = Math.ceil(this.#length / BLOCK);
    this.#keys.shrink(blocks);
    this.#values.shrink(blocks);
    return this.#length;
  }

  fork(): KeyValueCache {
    this.#alive();
    const copy = new FullCache(this.#pool, this.#config, this.#options);
    copy.#keys.shareWith(this.#keys);
    copy.#values.shareWith(this.#values);
    copy.#length = this.#length;
    try {
      copy.truncate(this.#length);
      copy.reserve(Math.min(1, this.#options.contextLength - this.#length));
      copy.truncate(this.#length);
    } catch (error) {
      copy.dispose();
      throw error;
    }
    return copy;
  }

  save(): Uint8Array<ArrayBuffer> {
    this.#alive();
    const blocks = Math.ceil(this.#length / BLOCK);
    const { bytesPerBlock } = this.#keys;
    const bytes = new Uint8Array(HEADER + 2 * blocks * bytesPerBlock);
    this.#header().forEach((word, i) => {
      new DataView(bytes.buffer).setUint32(i * 4, word, true);
    });
    for (let block = 0; block < blocks; block++) {
      const at = HEADER + 2 * block * bytesPerBlock;
      bytes.set(this.#keys.view(block), at);
      bytes.set(this.#values.view(block), at + bytesPerBlock);
    }
    return bytes;
  }

  restore(bytes: Uint8Array): void {
    this.#alive();
    const foreign = (what: string) =>
      new SessionError(
        `The saved session cannot be restored: ${what}`,
        {},
        "Use it with the model and options it was saved with",
      );
    if (bytes.length < HEADER) throw foreign("it is cut off");
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const length = view.getUint32(7 * 4, true);
    const names = [
      "not a saved session",
      "another version",
      "another kvCache",
      "layers",
      "KV heads",
      "head size",
      "options",
    ];
    this.#header().forEach((word, i) => {
      if (i < 7 && view.getUint32(i * 4, true) !== word) throw foreign(`${names[i]} (differs)`);
    });
    const { bytesPerBlock } = this.#keys;
    const blocks = Math.ceil(length / BLOCK);
    if (length > this.#options.contextLength)
      throw foreign(`it has ${length} tokens, the context length is ${this.#options.contextLength}`);
    if (bytes.length !== HEADER + 2 * blocks * bytesPerBlock) throw foreign("its length is wrong");
    this.truncate(0);
    this.reserve(length);
    for (let block = 0; block < blocks; block++) {
      const at = HEADER + 2 * block * bytesPerBlock;
      this.#keys.view(block).set(bytes.subarray(at, at + bytesPerBlock));
      this.#values.view(block).set(bytes.subarray(at + bytesPerBlock, at + 2 * bytesPerBlock));
    }
    this.#length = length;
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#keys.dispose();
    this.#values.dispose();
  }

  #header(): number[] {
    const { layers, kvHeads, headDim } = this.#config;
    return [MAGIC, VERSION, this.#options.kind === "f32" ? 1 : 0, layers, kvHeads, headDim, 0, this.#length];
  }

  #alive(): void {
    if (this.#disposed) throw new SessionError("The session was disposed", {}, "Create a new one");
  }
}
