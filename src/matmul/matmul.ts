import { Lookup, Product } from "../kernels/generated.js";
import { share, type Thread } from "../threads/thread.js";
import { chooseDots, type DotChoice } from "./dots.js";
import { layouts } from "./layouts/index.js";
import type { ProductKernel, WeightLayout } from "./layouts/layout.js";
import type { Weight } from "./weight.js";

/** Most tokens of a product that goes to the kernels for few; from there on unpacking the weights first pays. */
const FEW_TOKENS = 8;

const FIRST_DOTS: DotChoice = { gemv: 0, gemm: 0 };

export interface ProductOptions {
  /** Add to what is in `out`. */
  accumulate?: boolean | undefined;
  /** Address of this thread's own `matmul_scratch_bytes(weight.columns)` bytes, a multiple of 16. */
  scratch: number;
  /** Which instructions to use, for tests and measurements. Default: the faster ones on this processor. */
  dots?: DotChoice | undefined;
}

/**
 * out[t][r] = Σ_c weight[r][c] · x[t][c], f32 `[tokens][weight.rows]`; with `accumulate` it is added to what is there.
 * `activations` comes from `quantiseActivations` with the kind of activations of the weight's layout, or is `x` itself for
 * `f32`. Every thread does its share of the rows; no barrier inside. A number's bits do not depend on the count of tokens
 * or threads, nor on the build.
 */
export function matmul(
  thread: Thread,
  out: number,
  weight: Weight,
  activations: number,
  tokens: number,
  options: ProductOptions,
): void {
  const [start, end] = share(thread, weight.rows, layouts[weight.layout].rowUnit);
  if (start >= end || tokens === 0) return;
  const multiply = prepare(thread, out, weight, activations, tokens, options);
  multiply(start, end);
}

/**
 * The same for one token and some rows of the weight, all others left as they are in `out`.
 * @param ranges of rows: first, end, first, end …, ascending; multiples of the layout's row unit but for the last end
 */
export function matmulRanges(
  thread: Thread,
  out: number,
  weight: Weight,
  activations: number,
  ranges: readonly number[],
  options: ProductOptions & { each?: (start: number, end: number) => void },
): void {
  const { rowUnit } = layouts[weight.layout];
  let units = 0;
  for (let i = 0; i < ranges.length; i += 2) units += Math.ceil((ranges[i + 1]! - ranges[i]!) / rowUnit);
  let [skip, left] = share(thread, units);
  left -= skip;
  if (left === 0) return;
  const multiply = prepare(thread, out, weight, activations, 1, options);
  for (let i = 0; left > 0; i += 2) {
    const start = ranges[i]! + skip * rowUnit;
    const end = Math.min(ranges[i + 1]!, start + left * rowUnit);
    skip = Math.max(0, skip - Math.ceil((ranges[i + 1]! - ranges[i]!) / rowUnit));
    if (start >= end) continue;
    multiply(start, end);
    options.each?.(start, end);
    left -= Math.ceil((end - start) / rowUnit);
  }
}

/** What multiplies this thread's rows. */
function prepare(
  thread: Thread,
  out: number,
  weight: Weight,
  activations: number,
  tokens: number,
  options: ProductOptions,
): (start: number, end: number) => void {
  const layout = layouts[weight.layout];
  const { scratch } = options;
  const { address: weights, blockScales = 0, rows, columns, scale } = weight;
  const dots = options.dots ?? (layout.choosesDots ? chooseDots(thread, scratch) : FIRST_DOTS);
  const { records } = thread;
  Product.write(thread.view(), records, {
    out,
    weights,
    blockScales,
    activations,
    scratch,
    tokens,
    rows,
    columns,
    scale,
    accumulate: options.accumulate ? 1 : 0,
    dot32: tokens === 1 ? dots.gemv : dots.gemm,
  });
  const kernel = thread.kernels[productKernel(layout, blockScales !== 0, tokens, dots)];
  return (start, end) => kernel(records, start, end);
}

function productKernel(layout: WeightLayout, scaled: boolean, tokens: number, dots: DotChoice): ProductKernel {
  if (scaled && layout.blockScales) return layout.blockScales;
  if (tokens === 1) return layout.one;
  if (tokens > FEW_TOKENS) return layout.many;
  return dots.gemm === 1 && layout.few32 ? layout.few32 : layout.few;
}

/**
 * Rows of a matrix as f32: out[t] = weight[ids[t]], for tokens `tokenStart … tokenEnd − 1`; out is f32
 * `[tokens][weight.columns]`, ids are i32. An id outside the matrix gives zeros.
 */
export function embedRows(
  thread: Thread,
  out: number,
  weight: Weight,
  ids: number,
  tokenStart: number,
  tokenEnd: number,
): void {
  if (tokenEnd <= tokenStart) return;
  const { address: weights, blockScales = 0, rows, columns, scale } = weight;
  const { records } = thread;
  Lookup.write(thread.view(), records, {
    out: out + tokenStart * columns * 4,
    weights,
    blockScales,
    ids: ids + tokenStart * 4,
    tokens: tokenEnd - tokenStart,
    rows,
    columns,
    scale,
  });
  thread.kernels[layouts[weight.layout].rows](records);
}
