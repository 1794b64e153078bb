import { SessionError } from "../errors.js";
import type { BlockCache } from "./block-cache.js";
import type { CalibratedHead } from "./calibration.js";
import { isFoldedBlock } from "./fold.js";
import { BLOCK } from "./layout.js";

const MAGIC = 0x564b4c44; // "DLKV"
const VERSION = 2;
const WORDS = 12;
const HEADER = WORDS * 4;
const LENGTH = 10;
const FOLDED = 11;

/** What must be equal for the bytes of one cache to mean the same in another. */
function header(cache: BlockCache, length: number, folded: number): number[] {
  const { config, kind, policy } = cache.parts;
  const { layers, kvHeads, headDim } = config;
  return [
    MAGIC,
    VERSION,
    kind === "f32" ? 1 : 0,
    layers,
    kvHeads,
    headDim,
    policy.delta ? 1 + policy.grain : 0,
    policy.grid ? (policy.basis === "score" ? 2 : 1) : 0,
    fingerprint([policy.sink, ...policy.thresholds]),
    fingerprint((policy.grid ?? []).flatMap((head) => (policy.basis === "score" ? basisDigits(head) : head.rawSteps))),
    length,
    folded,
  ];
}

const names = [
  "it is no saved session",
  "it is of another version",
  "kvCache differs",
  "the number of layers differs",
  "the number of KV heads differs",
  "the size of heads differs",
  "the kind or grain of attention differs",
  "the basis differs",
  "sink or thresholds differ",
  "the calibration differs",
];

const basisDigits = (head: CalibratedHead) => [
  ...(head.scoreSteps ?? []),
  ...(head.scoreCenters ?? []),
  ...Array.from(head.basis ?? "", (letter) => letter.charCodeAt(0)),
];

/** FNV-1a over the bytes of the numbers. */
function fingerprint(numbers: readonly number[]): number {
  let hash = 0x811c9dc5;
  for (const byte of new Uint8Array(Float64Array.from(numbers).buffer)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** Header, then for each block its keys (if still whole), values and references; folded references after their length. */
export function saveCache(cache: BlockCache): Uint8Array<ArrayBuffer> {
  const blocks = Math.ceil(cache.length / BLOCK);
  const pieces: Uint8Array[] = [];
  let folded = 0;
  for (let block = 0; block < blocks; block++) {
    if (!cache.keys.block(block)) folded++;
    for (const table of cache.tables) {
      const view = table.view(block);
      if (table.block(block)?.tag) pieces.push(new Uint8Array(Uint32Array.of(view.length).buffer));
      pieces.push(view);
    }
  }
  const bytes = new Uint8Array(HEADER + pieces.reduce((sum, piece) => sum + piece.length, 0));
  const view = new DataView(bytes.buffer);
  header(cache, cache.length, folded).forEach((word, i) => {
    view.setUint32(i * 4, word, true);
  });
  let at = HEADER;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/**
 * Checks everything, then calls `reset` (which empties the cache and reserves `length` tokens) and fills the blocks.
 * @throws SessionError before anything has changed
 */
export function restoreCache(
  cache: BlockCache,
  bytes: Uint8Array,
  reset: (length: number, folded: number) => void,
): void {
  const foreign = (what: string) =>
    new SessionError(
      `The saved session cannot be restored: ${what}`,
      {},
      "Use it with the model and options it was saved with",
    );
  if (bytes.length < HEADER) throw foreign("it is cut off");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  header(cache, 0, 0).forEach((word, i) => {
    if (i < LENGTH && view.getUint32(i * 4, true) !== word) throw foreign(names[i] as string);
  });
  const length = view.getUint32(LENGTH * 4, true);
  const folded = view.getUint32(FOLDED * 4, true);
  const { contextLength, config, policy, pool } = cache.parts;
  if (length > contextLength) throw foreign(`it has ${length} tokens, the context length is ${contextLength}`);
  const blocks = Math.ceil(length / BLOCK);
  const mostFolded = length && cache.far ? Math.min(blocks - 1, Math.floor(windowEnd(cache, length) / BLOCK)) : 0;
  if (folded > mostFolded) throw foreign("keys are missing");
  const heads = config.layers * config.kvHeads;
  const parts: Uint8Array[][] = [];
  let at = HEADER;
  const take = (count: number) => {
    if (at + count > bytes.length) throw foreign("it is cut off");
    at += count;
    return bytes.subarray(at - count, at);
  };
  for (let block = 0; block < blocks; block++) {
    const whole = block >= folded;
    const part = [whole ? take(cache.keys.bytesPerBlock) : new Uint8Array(0), take(cache.values.bytesPerBlock)];
    if (cache.far && whole) part.push(take(cache.far.bytesPerBlock));
    else if (cache.far) {
      const size = new DataView(take(4).slice().buffer).getUint32(0, true);
      const piece = take(size);
      if (!isFoldedBlock(piece, heads, config.headDim, policy.grain)) throw foreign("folded keys are damaged");
      part.push(piece);
    }
    parts.push(part);
  }
  if (at !== bytes.length) throw foreign("it is too long");
  reset(length, folded);
  parts.forEach((part, block) => {
    cache.tables.forEach((table, i) => {
      const piece = part[i] as Uint8Array;
      if (block >= folded || table === cache.values) table.view(block).set(piece);
      else if (table === cache.keys) table.set(block, undefined);
      else {
        const address = pool.take(piece.length);
        pool.memory.u8(address, piece.length).set(piece);
        table.set(block, { address, bytes: piece.length, tag: 1 });
      }
    });
  });
}

/** First key that is in the window of the next query, or of the last possible one. */
function windowEnd(cache: BlockCache, length: number): number {
  return cache.parts.policy.windowStart(Math.min(length, cache.parts.contextLength - 1));
}
