import type { BlockCache } from "./block-cache.js";

const round16 = (bytes: number) => Math.ceil(bytes / 16) * 16;

/**
 * Gives back the whole keys of a block, and replaces its references by their folded form: u32 offsets of the parts
 * [layers · kvHeads], then the parts that assembly/attention/fold.ts describes. @throws MemoryError with nothing changed
 */
export function foldBlock(cache: BlockCache, index: number): void {
  const { pool, kernels, config, policy } = cache.parts;
  const { memory } = pool;
  const { headDim } = config;
  const heads = config.layers * config.kvHeads;
  const old = cache.far?.block(index);
  if (!cache.far || !old || old.tag) return;
  const work = memory.alloc(2 * headDim, "folding keys");
  try {
    const offsets = new Uint32Array(heads);
    let end = round16(heads * 4);
    for (let head = 0; head < heads; head++) {
      offsets[head] = end;
      end += kernels.delta_fold(0, old.address + head * headDim * 64, headDim, policy.grain, work);
    }
    const folded = pool.take(end);
    memory.u32(folded, heads).set(offsets);
    offsets.forEach((offset, head) => {
      kernels.delta_fold(folded + offset, old.address + head * headDim * 64, headDim, policy.grain, work);
    });
    cache.far.set(index, { address: folded, bytes: end, tag: 1 });
    cache.keys.set(index, undefined);
  } finally {
    memory.free(work);
  }
}

/** Whether bytes are a well-formed folded block: kernels may follow its offsets and masks without leaving it. */
export function isFoldedBlock(bytes: Uint8Array, heads: number, headDim: number, grain: number): boolean {
  let end = round16(heads * 4);
  if (bytes.length < end) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let head = 0; head < heads; head++) {
    if (view.getUint32(head * 4, true) !== end) return false;
    const masks = end + (grain === 2 ? 0 : headDim);
    const maskBytes = grain === 2 ? 8 : grain === 1 ? 126 : headDim * 8;
    if (masks + maskBytes > bytes.length) return false;
    let ones = 0;
    for (let i = 0; i < maskBytes; i++) for (let rest = bytes[masks + i] as number; rest; rest &= rest - 1) ones++;
    if (grain === 2 && !((bytes[masks] as number) & 1)) return false;
    if (grain === 1)
      for (let key = 0; key < 63; key++) if (view.getUint16(masks + key * 2, true) >>> (headDim / 16)) return false;
    end +=
      grain === 2
        ? 32 + Math.ceil(ones / 8) * 8 * headDim
        : (headDim + maskBytes + (grain === 1 ? 2 + ones * 16 : ones) + 31) & ~15;
  }
  return end === bytes.length;
}
