import { Lookup, Product } from "../kernels/generated.js";
import { share, type Thread } from "../threads/thread.js";
import type { ColumnLists } from "./active-columns.js";
import { chooseDots, type DotChoice } from "./dots.js";
import { layoutOf } from "./layouts/index.js";
import type { ProductKernel, WeightLayout } from "./layouts/layout.js";
import type { Weight } from "./weight.js";

/** Most tokens of a product that goes to the kernels for few, unless the layout knows better. */
const FEW_TOKENS = 8;

const FIRST_DOTS: DotChoice = { gemv: 0, gemm: 0 };

export interface ProductOptions {
  /** Add to what is in `out`. */
  accumulate?: boolean | undefined;
  /** Address of this thread's own `matmul_scratch_bytes(weight.columns)` bytes, a multiple of 16. */
  scratch: number;
  /** The columns to compute, all others being met by zeros; for layout `ternary-columns`. */
  active?: ColumnLists | undefined;
  /** Which instructions to use, for tests and measurements. Default: the faster ones on this processor. */
  dots?: DotChoice | undefined;
}

/** Filled anew for every product: an object for each would be 30 kB of garbage per token, which its speed feels. */
const product: Product = {
  out: 0,
  weights: 0,
  blockScales: 0,
  activations: 0,
  scratch: 0,
  tokens: 0,
  rows: 0,
  columns: 0,
  scale: 0,
  accumulate: 0,
  dot32: 0,
  blockRows: 0,
  offsets: 0,
  values: 0,
};

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
  const [start, end] = share(thread, weight.rows, layoutOf(weight.layout).rowUnit);
  if (start >= end || tokens === 0) return;
  const kernel = prepare(thread, out, weight, activations, tokens, options);
  thread.kernels[kernel](thread.records, start, end);
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
  const { rowUnit } = layoutOf(weight.layout);
  const unitsOf = (i: number) => Math.ceil((ranges[i + 1]! - ranges[i]!) / rowUnit);
  let units = 0;
  for (let i = 0; i < ranges.length; i += 2) units += unitsOf(i);
  let [skip, left] = share(thread, units);
  left -= skip;
  if (left === 0) return;
  const kernel = prepare(thread, out, weight, activations, 1, options);
  for (let i = 0; left > 0; i += 2) {
    const start = ranges[i]! + skip * rowUnit;
    const end = Math.min(ranges[i + 1]!, start + left * rowUnit);
    skip = Math.max(0, skip - unitsOf(i));
    if (start >= end) continue;
    thread.kernels[kernel](thread.records, start, end);
    options.each?.(start, end);
    left -= Math.ceil((end - start) / rowUnit);
  }
}

/** Whether each thread computes the same rows of both matrices. */
export function sharedAlike(a: Weight, b: Weight): boolean {
  return a.rows === b.rows && layoutOf(a.layout).rowUnit === layoutOf(b.layout).rowUnit;
}

/** Writes the record of a product. Returns the kernel that multiplies rows by it. */
function prepare(
  thread: Thread,
  out: number,
  weight: Weight,
  activations: number,
  tokens: number,
  options: ProductOptions,
): ProductKernel {
  const layout = layoutOf(weight.layout);
  const { scratch } = options;
  const dots = options.dots ?? (layout.choosesDots && !options.active ? chooseDots(thread, scratch) : FIRST_DOTS);
  product.out = out;
  product.weights = weight.address;
  product.blockScales = weight.blockScales ?? 0;
  product.activations = activations;
  product.scratch = scratch;
  product.tokens = tokens;
  product.rows = weight.rows;
  product.columns = weight.columns;
  product.scale = weight.scale;
  product.accumulate = options.accumulate ? 1 : 0;
  product.dot32 = tokens === 1 ? dots.gemv : dots.gemm;
  product.blockRows = weight.blockRows ?? 0;
  product.offsets = options.active?.offsets ?? 0;
  product.values = options.active?.values ?? 0;
  Product.write(thread.view(), thread.records, product);
  return options.active ? "gemm_active_columns" : productKernel(layout, product.blockScales !== 0, tokens, dots);
}

function productKernel(layout: WeightLayout, scaled: boolean, tokens: number, dots: DotChoice): ProductKernel {
  if (scaled && layout.blockScales) return layout.blockScales;
  if (tokens === 1) return layout.one;
  if (tokens > (layout.mostFew ?? FEW_TOKENS)) return layout.many;
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
  const { address: weights, blockScales = 0, blockRows = 0, rows, columns, scale } = weight;
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
    blockRows,
  });
  thread.kernels[layoutOf(weight.layout).rows](records);
}
