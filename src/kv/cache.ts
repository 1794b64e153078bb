import type { Steps } from "../platform/waiting.js";
import type { AttentionStats } from "./counters.js";
import type { CacheDescriptor } from "./descriptor.js";
import type { HeldPage } from "./held-page.js";
import type { PageTable } from "./pages.js";
import type { CacheParts } from "./parts.js";

/** Keys and values of one sequence. Lives on the coordinating thread; no other thread may run while it is changed. */
export interface KeyValueCache {
  readonly descriptor: CacheDescriptor;
  /** Tokens committed. */
  readonly length: number;
  /** Bytes the keys take now. */
  readonly keyBytes: number;
  /** Bytes the values take now. */
  readonly valueBytes: number;
  /**
   * Called in `commit` with every page of 64 tokens that has become complete, before anything of it is dropped. The page
   * is retained for the listener, which must release it. Later progress (packed references, merged spans) is put into the
   * same page as long as it is not released.
   */
  onPage: ((page: HeldPage, index: number) => void) | undefined;
  /** Makes room for `tokens` more. @throws SessionError beyond the context length. @throws MemoryError; the cache stays usable. */
  reserve(tokens: number): void;
  /** Declares that the forward pass has stored `tokens` more, for which room was reserved. */
  commit(tokens: number): void;
  /**
   * Forgets what follows the first `length` tokens. Returns the length kept: a delta cache that has already dropped whole
   * keys which are in the window again falls back to 0. Prefill from the length returned.
   */
  truncate(length: number): number;
  /** A second cache with the same content; full pages are shared until one of them changes. @throws MemoryError */
  fork(): KeyValueCache;
  /**
   * Makes this empty cache begin with pages that caches of the same model and options have offered to `onPage`, in order.
   * Nothing is copied but what the next key needs of the last page. Its bits are those of a cache that computed the tokens.
   * @returns the tokens taken, a multiple of 64: fewer than there are when pages no longer hold what the window needs
   * @throws SessionError when the cache is not empty. @throws MemoryError; the cache is empty then
   */
  adopt(pages: readonly HeldPage[]): number;
  /** The content as bytes that `restore` takes, on any machine; `note` is kept with it, under the same checksum. */
  save(note?: Uint8Array): Uint8Array<ArrayBuffer>;
  /** Replaces the content, unless `check` throws at the note or at the tokens there are. @throws SessionError when the bytes are damaged or come from another shape or kind of cache, nothing changed. @throws MemoryError; the cache is empty then. */
  restore(bytes: Uint8Array, check?: (note: Uint8Array, length: number) => void): void;
  /** The same in steps. Only the first one of saving reads the cache, only the last one of restoring changes it. */
  saving(note: Uint8Array): Steps<Uint8Array<ArrayBuffer>>;
  restoring(bytes: Uint8Array, check: (note: Uint8Array, length: number) => void): Steps<void>;
  /** What was left out so far. */
  stats(): AttentionStats;
  /** Gives all memory back; the cache cannot be used any more. Doing it twice is harmless. */
  dispose(): void;
}

/** How far a cache has come; changed by the functions of progress.ts alone. */
export interface Progress {
  /** Tokens. */
  length: number;
  /** Pages, from the first, whose references are packed. */
  packed: number;
  /** Pages, from the first, whose whole keys were dropped. */
  dropped: number;
  /** Spans, from the first, that were packed. */
  packedSpans: number;
  /** Spans of which only the runs are left. */
  freed: number;
}

/** The inside of a cache, for the functions that pack, merge, save and count it. */
export interface CacheContent {
  readonly parts: CacheParts;
  readonly descriptor: CacheDescriptor;
  readonly length: number;
  readonly progress: Progress;
  /** Pages that are held elsewhere too, by index. */
  readonly held: (HeldPage | undefined)[];
  onPage: KeyValueCache["onPage"];
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly keys: PageTable;
  readonly values: PageTable;
  /** References of the keys that have left the window of the last query, in delta caches. */
  readonly far: PageTable | undefined;
  /** Merged spans, in row grain. */
  readonly merged: PageTable | undefined;
  /** Spans of which keys, values and references are gone. */
  readonly freedSpans: number;
  /** Tables of one page per 64 tokens. */
  readonly tables: readonly PageTable[];
}
