import type { Workspace } from "./workspace.js";

/** Thresholds of chunks and rows that are walked at the same time. */
export const WALKS = 4;
/** Largest difference of two codes. */
const FARTHEST = 126;

/** Keys on the grid, [tokens][d], in both forms that walks read. */
export interface Codes {
  bytes: Int8Array;
  numbers: Float64Array;
}

/** Puts keys [tokens][d] on a grid. */
export function codesOf(
  space: Workspace,
  keys: Float64Array,
  steps: ArrayLike<number>,
  centers: ArrayLike<number>,
): Codes {
  const d = steps.length;
  const codes = { bytes: space.bytes(keys.length), numbers: space.numbers(keys.length) };
  const [middle, by] = [space.copy(centers).byteOffset, space.copy(steps).byteOffset];
  const [bytes, numbers] = [codes.bytes.byteOffset, codes.numbers.byteOffset];
  space.kernels.calibration_codes(bytes, numbers, keys.byteOffset, middle, by, keys.length / d, d);
  return codes;
}

/**
 * The walk of delta attention over grid codes, which are dropped `size` elements at a time.
 * @returns a function from up to `WALKS` thresholds to the share each drops
 */
export function droppedShares(
  space: Workspace,
  windows: readonly Codes[],
  steps: readonly number[],
  size: number,
): (thetas: readonly number[]) => number[] {
  const squares = space.copy(steps.map((step) => step * step));
  const seen = windows.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const walk = size === 1 ? elementWalks(space, squares) : blockWalks(space, squares, size);
  return (thetas) => {
    const limits = Array.from({ length: WALKS }, (_, i) => (thetas[i] ?? 0) * (thetas[i] ?? 0));
    const dropped = new Array<number>(WALKS).fill(0);
    for (const codes of windows)
      for (const [i, count] of walk(codes, limits).entries()) dropped[i] = (dropped[i] as number) + count;
    return dropped.map((count) => count / seen);
  };
}

type Walk = (codes: Codes, limits: readonly number[]) => number[];

/** Elements one by one: whether one is kept depends on an integer, the difference of two codes. */
function elementWalks(space: Workspace, squares: Float64Array): Walk {
  const d = squares.length;
  const most = space.bytes(d);
  return ({ bytes }, limits) => {
    const tokens = bytes.length / d;
    return limits.map((limit) => {
      for (let i = 0; i < d; i++) most[i] = largestDropped(squares[i] as number, limit);
      return (tokens - 1) * d - space.kernels.calibration_walk_elements(bytes.byteOffset, most.byteOffset, tokens, d);
    });
  };
}

/** The largest difference whose weighted square is not above `limit`. */
function largestDropped(square: number, limit: number): number {
  let most = 0;
  while (most < FARTHEST && !((most + 1) * (most + 1) * square > limit)) most++;
  return most;
}

/** Chunks or rows: `size` elements are kept when the sum of their weighted squares, in their order, is above the limit. */
function blockWalks(space: Workspace, squares: Float64Array, size: number): Walk {
  const d = squares.length;
  const [kept, limit, references] = [
    space.numbers(WALKS),
    space.numbers(WALKS),
    space.numbers(WALKS * size).byteOffset,
  ];
  return ({ numbers }, limits) => {
    const tokens = numbers.length / d;
    limit.set(limits);
    const dropped = new Array<number>(WALKS).fill(0);
    for (let from = 0; from < d; from += size) {
      const [codes, own] = [numbers.byteOffset + 8 * from, squares.byteOffset + 8 * from];
      space.kernels.calibration_walk_block(kept.byteOffset, codes, references, own, limit.byteOffset, tokens, size, d);
      kept.forEach((count, w) => {
        (dropped[w] as number) += (tokens - 1 - count) * size;
      });
    }
    return dropped;
  };
}
