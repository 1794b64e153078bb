import { QueryRows } from "../abi";
import { queryBytes } from "./queries";

/** Beyond what products of leading elements can be: all keys, or none. */
const FARTHEST: f32 = 16777216;

/**
 * Thresholds of query rows, times −1, i32 [rows]: a far key is wanted where Σ over the leading elements of q·code reaches it.
 * At `selection`, f32: margin τ in logits, how many standard deviations are added, 2 unused, mean codes − 64 of the other
 * elements [r], covariance of their codes [r / 8][r][8]. All sums in the order of the elements, four lanes apart.
 */
export function attention_thresholds(rows: QueryRows): void {
  const headDim = rows.cache.headDim;
  const lead = rows.cache.select;
  const rest = headDim - lead;
  const bytes = <usize>rest << 2;
  const covariance = rows.selection + 16 + bytes;
  const query = rows.work;
  const variances = query + (bytes << 2);
  for (let first = 0; first < rows.rows; first += 4) {
    const some = min(4, rows.rows - first);
    for (let r = 0; r < some; r++) {
      const codes = rows.queries + <usize>(first + r) * queryBytes(headDim);
      for (let i = 0; i < rest; i++)
        store<f32>(query + <usize>r * bytes + (<usize>i << 2), <f32>codeAt(codes, <usize>(lead + i)));
    }
    squaredDeviations(variances, query, covariance, bytes);
    for (let r = 0; r < some; r++) {
      const codes = rows.queries + <usize>(first + r) * queryBytes(headDim);
      const constants = codes + (<usize>headDim << 1);
      if (ASC_FEATURE_RELAXED_SIMD) {
        store<i32>(constants, sharedSteps(codes, codes + lead), 8);
        store<i32>(constants, sharedSteps(codes + lead, codes + headDim), 12);
      }
      store<i32>(
        rows.thresholds + (<usize>(first + r) << 2),
        threshold(rows, first + r, query + <usize>r * bytes, sumLanes(v128.load(variances + (<usize>r << 4)))),
      );
    }
  }
}

/**
 * How many steps of 4 codes may be added up in 16 bits, whatever the keys: 4, 2 (the first and the last of four, and those
 * between: in a score basis the first have the large codes) or 1. Key codes are in 0..127, two neighbouring elements share a
 * lane, and codes of one sign are the worst.
 */
function sharedSteps(codes: usize, end: usize): i32 {
  const zero = i8x16.splat(0);
  let most2 = i16x8.splat(0);
  let most4 = most2;
  for (; codes < end; codes += 16) {
    const code = v128.load(codes);
    const two = outerAndInner(i8x16.max_s(code, zero));
    const minus2 = outerAndInner(i8x16.max_s(i8x16.neg(code), zero));
    most2 = i16x8.max_s(most2, i16x8.max_s(two, minus2));
    const four = i16x8.add(two, i32x4.shuffle(two, two, 1, 0, 3, 2));
    const minus4 = i16x8.add(minus2, i32x4.shuffle(minus2, minus2, 1, 0, 3, 2));
    most4 = i16x8.max_s(most4, i16x8.max_s(four, minus4));
  }
  const most = i16x8.splat(258);
  return v128.any_true(i16x8.gt_s(most2, most)) ? 1 : v128.any_true(i16x8.gt_s(most4, most)) ? 2 : 4;
}

/** Per lane of a product, what the first and the last of four steps add up to, and the two between. */
// @ts-ignore: decorator
@inline
function outerAndInner(codes: v128): v128 {
  const one = i16x8.extadd_pairwise_i8x16_u(codes);
  return i16x8.add(one, i32x4.shuffle(one, one, 3, 2, 1, 0));
}

/** The least `sharedSteps` of the leading elements of some rows. */
export function sharedLead(query: usize, querySize: usize, rows: i32, headDim: i32): i32 {
  return leastShared(query + (<usize>headDim << 1) + 8, querySize, rows);
}

/** The same of their other elements. */
export function sharedRest(query: usize, querySize: usize, rows: i32, headDim: i32): i32 {
  return leastShared(query + (<usize>headDim << 1) + 12, querySize, rows);
}

function leastShared(at: usize, querySize: usize, rows: i32): i32 {
  if (!ASC_FEATURE_RELAXED_SIMD) return 1;
  let least = 4;
  for (let r = 0; r < rows; r++, at += querySize) least = min(least, load<i32>(at));
  return least;
}

/** q·(covariance·q) of four rows of `bytes`, four lanes of each: f32 out[4][4]. */
function squaredDeviations(out: usize, query: usize, covariance: usize, bytes: usize): void {
  const query1 = query + bytes;
  const query2 = query1 + bytes;
  const query3 = query2 + bytes;
  memory.fill(out, 0, 64);
  for (let j = query; j < query1; j += 32) {
    let w0 = f32x4.splat(0);
    let w1 = w0;
    let x0 = w0;
    let x1 = w0;
    let y0 = w0;
    let y1 = w0;
    let z0 = w0;
    let z1 = w0;
    for (let i: usize = 0; i < bytes; i += 4, covariance += 32) {
      const a = v128.load(covariance);
      const b = v128.load(covariance, 16);
      const w = v128.load32_splat(query + i);
      w0 = f32x4.add(w0, f32x4.mul(w, a));
      w1 = f32x4.add(w1, f32x4.mul(w, b));
      const x = v128.load32_splat(query1 + i);
      x0 = f32x4.add(x0, f32x4.mul(x, a));
      x1 = f32x4.add(x1, f32x4.mul(x, b));
      const y = v128.load32_splat(query2 + i);
      y0 = f32x4.add(y0, f32x4.mul(y, a));
      y1 = f32x4.add(y1, f32x4.mul(y, b));
      const z = v128.load32_splat(query3 + i);
      z0 = f32x4.add(z0, f32x4.mul(z, a));
      z1 = f32x4.add(z1, f32x4.mul(z, b));
    }
    addProducts(out, j, w0, w1);
    addProducts(out + 16, j + bytes, x0, x1);
    addProducts(out + 32, j + 2 * bytes, y0, y1);
    addProducts(out + 48, j + 3 * bytes, z0, z1);
  }
}

/** Adds the products of 8 numbers with a and b to the lanes at `out`. */
// @ts-ignore: decorator
@inline
function addProducts(out: usize, query: usize, a: v128, b: v128): void {
  const sum = f32x4.add(v128.load(out), f32x4.mul(v128.load(query), a));
  v128.store(out, f32x4.add(sum, f32x4.mul(v128.load(query, 16), b)));
}

/** The threshold of a row whose codes after the leading ones are f32 at `query`, times −1. */
function threshold(rows: QueryRows, row: i32, query: usize, variance: f32): i32 {
  const headDim = rows.cache.headDim;
  const lead = rows.cache.select;
  const selection = rows.selection;
  const codes = rows.queries + <usize>row * queryBytes(headDim);
  const scale = load<f32>(codes + (<usize>headDim << 1));
  if (!(scale > 0)) return <i32>FARTHEST;
  let mean = f32x4.splat(0);
  for (let j: usize = 0; j < <usize>(headDim - lead) << 2; j += 16)
    mean = f32x4.add(mean, f32x4.mul(v128.load(query + j), v128.load(selection + j, 16)));
  const deviation = sqrt<f32>(max<f32>(0, variance));
  const logits = (load<f32>(rows.peaks + (<usize>row << 2)) - load<f32>(selection)) / scale;
  let added = 0;
  for (let i = 0; i < lead; i++) added += codeAt(codes, i);
  // Key codes have 64 added.
  const least = logits - load<f32>(selection, 4) * deviation - sumLanes(mean) + <f32>(added << 6);
  const most = f32x4.pmin(f32x4.splat(FARTHEST), f32x4.pmax(f32x4.splat(-FARTHEST), f32x4.splat(-least)));
  return i32x4.extract_lane(i32x4.trunc_sat_f32x4_s(f32x4.floor(most)), 0);
}

// @ts-ignore: decorator
@inline
function codeAt(codes: usize, element: usize): i32 {
  return ASC_FEATURE_RELAXED_SIMD ? <i32>load<i8>(codes + element) : <i32>load<i16>(codes + (element << 1));
}

// @ts-ignore: decorator
@inline
function sumLanes(x: v128): f32 {
  return (
    f32x4.extract_lane(x, 0) + f32x4.extract_lane(x, 2) + (f32x4.extract_lane(x, 1) + f32x4.extract_lane(x, 3))
  );
}
