import type { CacheContent } from "./cache.js";
import { round16 } from "./layout.js";

/** Kernels read up to 16 bytes beyond a part. */
const SPARE = 16;

/** Where the parts of so many slots begin, after their offsets and that of the end. */
const partsStart = (slots: number) => round16((slots + 1) * 4);

/**
 * Replaces the references of a full page by their packed form: u32 offsets of the parts [layers · kvHeads] and
 * of the end, then the parts that assembly/attention/pack.ts describes. @throws MemoryError with nothing changed
 */
export function packReferences(cache: CacheContent, index: number): void {
  const { pool, kernels, config, policy } = cache.parts;
  const { memory } = pool;
  const { headDim } = config;
  const slots = config.layers * config.kvHeads;
  const old = cache.far?.page(index);
  if (!cache.far || !old || old.tag) return;
  const work = memory.alloc(Math.max(64, 2 * headDim), "packing keys");
  try {
    const offsets = new Uint32Array(slots);
    let end = partsStart(slots);
    for (let slot = 0; slot < slots; slot++) {
      offsets[slot] = end;
      end += kernels.delta_pack(0, old.address + slot * headDim * 64, headDim, policy.grain, work);
    }
    const packed = pool.take(end + SPARE);
    memory.u32(packed, slots + 1).set([...offsets, end]);
    offsets.forEach((offset, slot) => {
      kernels.delta_pack(packed + offset, old.address + slot * headDim * 64, headDim, policy.grain, work);
    });
    cache.far.set(index, { address: packed, bytes: end + SPARE, tag: 1 });
  } finally {
    memory.free(work);
  }
}

/** Undoes `packReferences`. @throws MemoryError with nothing changed */
export function unpackReferences(cache: CacheContent, index: number): void {
  const { pool, kernels, config, policy, constants } = cache.parts;
  const { memory } = pool;
  const { headDim } = config;
  const old = cache.far?.page(index);
  if (!cache.far || !old?.tag) return;
  const bytes = cache.far.bytesPerPage;
  const work = memory.alloc(256, "unpacking keys");
  try {
    const address = pool.take(bytes);
    const offsets = memory.u32(old.address, config.layers * config.kvHeads).slice();
    offsets.forEach((offset, slot) => {
      const part = address + slot * headDim * 64;
      kernels.delta_unpack(part, old.address + offset, headDim, policy.grain, constants.expandTable, work);
    });
    cache.far.set(index, { address, bytes, tag: 0 });
  } finally {
    memory.free(work);
  }
}

/** Whether bytes are a well-formed packed page: kernels may follow its offsets and masks without leaving it. */
export function isPackedPage(bytes: Uint8Array, slots: number, headDim: number, grain: number): boolean {
  let end = partsStart(slots);
  if (bytes.length < end) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let slot = 0; slot < slots; slot++) {
    if (view.getUint32(slot * 4, true) !== end) return false;
    const maskBytes = grain === 2 ? 8 : grain === 1 ? headDim / 2 : headDim * 8;
    const masks = grain === 0 ? headDim : 0;
    const codes = grain === 0 ? masks + maskBytes : round16(maskBytes);
    if (end + codes > bytes.length) return false;
    let ones = 0;
    for (let i = 0; i < maskBytes; i++) {
      const mask = bytes[end + masks + i] as number;
      // The first key is kept, with every chunk.
      if (grain > 0 && i % 8 === 0 && !(mask & 1)) return false;
      for (let rest = mask; rest; rest &= rest - 1) ones++;
    }
    end += codes + (grain === 2 ? Math.ceil(ones / 8) * 8 * headDim : grain === 1 ? ones * 16 : (ones + 3) & ~3);
  }
  return view.getUint32(slots * 4, true) === end && end + SPARE === bytes.length;
}
