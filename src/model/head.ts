import { activationStride } from "../matmul/activations.js";
import { layoutOf } from "../matmul/layouts/index.js";
import { matmul, matmulRanges } from "../matmul/matmul.js";
import { share, type Thread } from "../threads/thread.js";
import type { ModelPlan } from "./plan.js";
import { type HeadRanges, type Slice, wantedOf } from "./slice.js";

/** Ranges of one row beyond which the whole head is multiplied: each is a call of a kernel. */
const MOST_RANGES = 512;

/**
 * Of which rows of the head (a bit each, as in masks of constraints) the products are wanted; undefined where that is so
 * much that the whole head is as quick, empty where one token is left.
 * @param vocab rows of the head; a mask may have fewer bits, or more
 * @param unit rows that are multiplied together: 8, or a multiple of 32
 */
export function headRanges(mask: Uint32Array, vocab: number, unit: number): HeadRanges | undefined {
  const ranges: number[] = [];
  let rows = 0;
  let tokens = 0;
  const add = (start: number) => {
    rows += unit;
    if (ranges.at(-1) === start) ranges[ranges.length - 1] = Math.min(start + unit, vocab);
    else ranges.push(start, Math.min(start + unit, vocab));
  };
  const words = Math.min(mask.length, Math.ceil(vocab / 32));
  for (let i = 0; i < words; i++) {
    const word = mask[i] as number;
    if (word === 0) continue;
    if (tokens < 2) tokens += (word & (word - 1)) === 0 ? 1 : 2;
    if (unit >= 32) {
      const start = i * 32 - ((i * 32) % unit);
      if ((ranges.at(-1) ?? 0) < Math.min(start + unit, vocab)) add(start);
    } else for (let k = 0; k < 32; k += 8) if ((word >>> k) & 255 && i * 32 + k < vocab) add(i * 32 + k);
    if (rows * 2 > vocab || ranges.length > MOST_RANGES * 2) return undefined;
  }
  return tokens === 1 ? [] : ranges;
}

/** What of the head each wanted row of a pass needs; undefined where that is nothing at all. */
export function wantedRanges(slices: readonly Slice<unknown>[]): (HeadRanges | undefined)[] | undefined {
  const wanted: (HeadRanges | undefined)[] = [];
  let any = false;
  for (const slice of slices) {
    const rows = wantedOf(slice);
    for (let i = 0; i < rows; i++) {
      const ranges = slice.ranges?.[i];
      any ||= ranges?.length !== 0;
      wanted.push(ranges);
    }
  }
  return any ? wanted : undefined;
}

/**
 * out = x · headᵀ, then divisor and soft cap of logits, for this thread's share of the head's rows.
 * @param input x `[ranges.length, hidden]` as the products read it
 * @param ranges of each row
 */
export function multiplyHead(
  thread: Thread,
  plan: ModelPlan,
  out: number,
  input: number,
  ranges: readonly (HeadRanges | undefined)[],
  scratch: number,
): void {
  const { head } = plan;
  const { activations, rowUnit } = layoutOf(head.layout);
  const stride = activationStride(activations, head.columns) || head.columns * 4;
  const { logitDivisor = 1, logitSoftcap = 0 } = plan.config;
  const capped = logitDivisor !== 1 || logitSoftcap !== 0;
  const cap = (row: number, start: number, end: number) => {
    if (capped) thread.kernels.cap_logits(out + (row * head.rows + start) * 4, end - start, logitDivisor, logitSoftcap);
  };
  const [start, end] = share(thread, head.rows, rowUnit);
  for (let row = 0; row < ranges.length; ) {
    const some = ranges[row];
    const [to, from] = [out + row * head.rows * 4, input + row * stride];
    let rows = 1;
    if (some) matmulRanges(thread, to, head, from, some, { scratch, each: (start, end) => cap(row, start, end) });
    else {
      // Rows that need the whole head share the reading of it.
      while (row + rows < ranges.length && !ranges[row + rows]) rows++;
      matmul(thread, to, head, from, rows, { scratch });
      for (let i = 0; i < rows; i++) cap(row + i, start, end);
    }
    row += rows;
  }
}
