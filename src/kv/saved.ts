import { SessionError } from "../errors.js";
import type { Steps } from "../platform/waiting.js";
import type { CacheContent } from "./cache.js";
import type { CalibratedHead } from "./calibration.js";
import { checksumSteps } from "./checksum.js";
import { PAGE, SPAN } from "./layout.js";
import { isMergedPage, spansMergedAt } from "./merge.js";
import { isPackedPage } from "./pack-page.js";
import type { PageTable } from "./pages.js";
import { joinLeads, leadApart, splitLeads } from "./planes.js";

const MAGIC = 0x564b4c44; // "DLKV"
const VERSION = 6;
// After magic and version come two words of checksum over all that follows, then the words of `header`, then the note.
const CHECKED = 16;
const WORDS = 15;
const HEADER = CHECKED + WORDS * 4;
const LENGTH = 9;
const PACKED = 10;
const DROPPED = 11;
const FREED = 12;
const FAR = 13;
const NOTE = 14;

/** How far the saved session has come. */
export interface SavedProgress {
  /** Tokens. */
  length: number;
  /** Pages whose references are packed. */
  packed: number;
  /** Pages without whole keys. */
  dropped: number;
  /** Spans of which only the runs are left. */
  freed: number;
  /** Keys that have references. */
  far: number;
}

/** What must be equal for the bytes of one cache to mean the same in another. */
function header(cache: CacheContent, progress: SavedProgress, noteBytes: number): number[] {
  const { config, kind, policy } = cache.parts;
  const { layers, kvHeads, headDim } = config;
  return [
    kind === "f32" ? 1 : 0,
    layers,
    kvHeads,
    headDim,
    policy.delta ? 1 + policy.grain : 0,
    policy.grid ? (policy.basis === "score" ? 2 : 1) : 0,
    fingerprint([policy.sink, ...policy.thresholds]),
    fingerprint([policy.valueCutoff]),
    fingerprint((policy.grid ?? []).flatMap(policy.basis === "score" ? scoreDigits : rawDigits)),
    progress.length,
    progress.packed,
    progress.dropped,
    progress.freed,
    progress.far,
    noteBytes,
  ];
}

const names = [
  "kvCache differs",
  "the number of layers differs",
  "the number of KV heads differs",
  "the size of heads differs",
  "the kind or grain of attention differs",
  "the basis differs",
  "sink or thresholds differ",
  "valueCutoff differs",
  "the calibration differs",
];

const rawDigits = (head: CalibratedHead) => [...head.rawSteps, ...(head.rawCenters ?? [])];

const scoreDigits = (head: CalibratedHead) => [
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

/**
 * Header, the note, the merged spans of which nothing else is left, each after its length, then for each further page its keys (if
 * still whole), values and references; packed references after their length. The first step reads all of the cache.
 */
export function* saveCache(cache: CacheContent, note: Uint8Array): Steps<Uint8Array<ArrayBuffer>> {
  const pages = Math.ceil(cache.length / PAGE);
  const freed = cache.freedSpans;
  const pieces: Uint8Array[] = [note];
  const lead = leadApart(cache);
  for (let span = 0; span < freed; span++) {
    const piece = cache.merged?.view(span) ?? new Uint8Array(0);
    pieces.push(new Uint8Array(Uint32Array.of(piece.length).buffer), piece);
  }
  const first = (freed * SPAN) / PAGE;
  let [packed, dropped] = [first, first];
  for (let page = first; page < pages; page++) {
    if (cache.far?.page(page)?.tag) packed++;
    if (!cache.keys.page(page)) dropped++;
    for (const table of cache.tables) {
      const stored = table.view(page);
      const view = lead && table === cache.keys ? joinLeads(stored, cache.parts.config.headDim, lead) : stored;
      if (table.page(page)?.tag) pieces.push(new Uint8Array(Uint32Array.of(view.length).buffer));
      pieces.push(view);
    }
  }
  const far = cache.far && cache.length > 0 ? cache.parts.policy.windowStart(cache.length - 1) : 0;
  const bytes = new Uint8Array(HEADER + pieces.reduce((sum, piece) => sum + piece.length, 0));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, VERSION, true);
  header(cache, { length: cache.length, packed, dropped, freed, far }, note.length).forEach((word, i) => {
    view.setUint32(CHECKED + i * 4, word, true);
  });
  let at = HEADER;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  (yield* checksumSteps(bytes.subarray(CHECKED))).forEach((word, i) => {
    view.setUint32(8 + i * 4, word, true);
  });
  return bytes;
}

/**
 * Checks everything, the note by `check`, then calls `reset` (which empties the cache and reserves `length` tokens) and fills the pages, all that in the last step.
 * @throws SessionError before anything has changed
 */
export function* restoreCache(
  cache: CacheContent,
  saved: Uint8Array,
  check: (note: Uint8Array, length: number) => void,
  reset: (saved: SavedProgress) => void,
): Steps<void> {
  // Not a Buffer of Node's, whose slices are no copies.
  const bytes = new Uint8Array(saved.buffer, saved.byteOffset, saved.byteLength);
  const foreign = (what: string) =>
    new SessionError(
      `The saved session cannot be restored: ${what}`,
      {},
      "Use it with the model and options it was saved with",
    );
  if (bytes.length < HEADER) throw foreign("it is cut off");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== MAGIC) throw foreign("it is no saved session");
  if (view.getUint32(4, true) !== VERSION) throw foreign("it is of another version");
  if ((yield* checksumSteps(bytes.subarray(CHECKED))).some((word, i) => view.getUint32(8 + i * 4, true) !== word))
    throw foreign("it is damaged");
  header(cache, { length: 0, packed: 0, dropped: 0, freed: 0, far: 0 }, 0).forEach((word, i) => {
    if (i < LENGTH && view.getUint32(CHECKED + i * 4, true) !== word) throw foreign(names[i] as string);
  });
  const word = (index: number) => view.getUint32(CHECKED + index * 4, true);
  const [length, packed, dropped, freed, far] = [word(LENGTH), word(PACKED), word(DROPPED), word(FREED), word(FAR)];
  const { contextLength, config, policy, pool } = cache.parts;
  if (length > contextLength) throw foreign(`it has ${length} tokens, the context length is ${contextLength}`);
  const pages = Math.ceil(length / PAGE);
  const farPages = Math.ceil(far / PAGE);
  // Whole keys must be there from the window of the last query on, whatever it was in the session that was saved.
  const window = length && cache.far ? policy.windowStart(length - 1) : 0;
  const mostFreed = cache.merged ? spansMergedAt(policy, length) : 0;
  const first = (freed * SPAN) / PAGE;
  if (
    far > (cache.far ? length : 0) ||
    packed > Math.max(0, farPages - 1) ||
    dropped > Math.min(packed, Math.floor(window / PAGE)) ||
    freed > mostFreed ||
    dropped < first ||
    (freed > 0 && Math.ceil(window / PAGE) <= first)
  )
    throw foreign("keys are missing");
  const slots = config.layers * config.kvHeads;
  const parts: Uint8Array[][] = [];
  let at = HEADER;
  const take = (count: number) => {
    if (at + count > bytes.length) throw foreign("it is cut off");
    at += count;
    return bytes.subarray(at - count, at);
  };
  check(take(word(NOTE)).slice(), length);
  const takeSized = () => take(new DataView(take(4).slice().buffer).getUint32(0, true));
  const merged = Array.from({ length: freed }, () => {
    // A copy, so that its numbers are aligned.
    const piece = takeSized().slice();
    if (!isMergedPage(piece, slots, config.headDim)) throw foreign("merged keys are damaged");
    return piece;
  });
  for (let page = first; page < pages; page++) {
    const part = [page < dropped ? new Uint8Array(0) : take(cache.keys.bytesPerPage), take(cache.values.bytesPerPage)];
    if (page >= farPages) part.push(new Uint8Array(0));
    else if (cache.far && page >= packed) part.push(take(cache.far.bytesPerPage));
    else if (cache.far) {
      const piece = takeSized();
      if (!isPackedPage(piece, slots, config.headDim, policy.grain)) throw foreign("packed keys are damaged");
      part.push(piece);
    }
    parts.push(part);
  }
  if (at !== bytes.length) throw foreign("it is too long");
  reset({ length, packed, dropped, freed, far });
  const lead = leadApart(cache);
  const put = (table: PageTable | undefined, index: number, piece: Uint8Array, tag: 0 | 1) => {
    const address = pool.take(piece.length);
    pool.memory.u8(address, piece.length).set(piece);
    table?.set(index, { address, bytes: piece.length, tag });
  };
  for (let page = 0; page < first; page++) for (const table of cache.tables) table.set(page, undefined);
  merged.forEach((piece, span) => {
    put(cache.merged, span, piece, 0);
  });
  parts.forEach((part, i) => {
    const page = first + i;
    cache.tables.forEach((table, i) => {
      const piece = part[i] as Uint8Array;
      if (table === cache.keys && page < dropped) table.set(page, undefined);
      else if (table === cache.keys && lead) table.view(page).set(splitLeads(piece, config.headDim, lead));
      else if (table !== cache.far || page >= packed) table.view(page).set(piece);
      else put(table, page, piece, 1);
    });
  });
}
