import type { ModelConfig } from "../model/config.js";
import type { Thread } from "../runtime/thread.js";
import type { CacheDescriptor } from "./cache.js";

/** Bytes of the scratch area all threads share in `storeKeysValues` and `attend`. */
export function attentionScratchBytes(_config: ModelConfig, _contextLength: number, _threads: number): number {
  return 0;
}

/**
 * Stores the keys (after RoPE) and values of new tokens; every thread takes its share. A barrier must follow before `attend`.
 * @param keys, values f32 [tokens][kvHeads][headDim]
 * @param position of the first of them
 */
export function storeKeysValues(
  _thread: Thread,
  _cache: CacheDescriptor,
  _layer: number,
  _keys: number,
  _values: number,
  _tokens: number,
  _position: number,
  _scratch: number,
): void {}

/**
 * Causal attention of `tokens` queries (after RoPE) at `position`…; every thread must call it, and a barrier must follow
 * before `out` is read.
 * @param out, queries f32 [tokens][heads][headDim]; may not overlap
 */
export function attend(
  _thread: Thread,
  _cache: CacheDescriptor,
  _layer: number,
  _out: number,
  _queries: number,
  _tokens: number,
  _position: number,
  _scratch: number,
): void {}
