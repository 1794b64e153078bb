import { QueryRows } from "../abi";
import { touch } from "./layout";
import { queryBytes } from "./queries";

/** Beyond what products of leading elements can be: all keys, or none. */
const FARTHEST: f32 = 16777216;

/**
 * Thresholds of query rows, times −1, i32 [rows]: a far key is wanted where Σ over the leading elements of q·code reaches it.
 * At `selection`, f32: margin τ in logits, how many standard deviations are added, 2 unused, mean codes − 64 of the other
 * elements [r], covariance of their codes [r][r]. All sums in the order of the elements, four lanes apart.
 */
export function attention_thresholds(rows: QueryRows): void {
  const headDim = rows.cache.headDim;
  const lead = rows.cache.select;
  const rest = headDim - lead;
  const bytes = <usize>rest << 2;
  const covariance = rows.selection + 16 + bytes;
  // A token of decode has it from memory.
  const quarter = (bytes * <usize>rest) >> 2;
  touch(covariance, covariance + quarter, covariance + 2 * quarter, covariance + 3 * quarter, quarter);
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
 * How many steps of 4 codes may be added up in 16 bits, whatever the keys: 4, 2 or 1. Key codes are below 128, and two
 * neighbouring elements share a lane.
 */
function sharedSteps(codes: usize, end: usize): i32 {
  let most2 = i16x8.splat(0);
  let most4 = most2;
  for (; codes < end; codes += 16) {
    const one = i16x8.extadd_pairwise_i8x16_u(i8x16.abs(v128.load(codes)));
    const two = i16x8.add(one, i32x4.shuffle(one, one, 1, 0, 3, 2));
    most2 = i16x8.max_s(most2, two);
    most4 = i16x8.max_s(most4, i16x8.add(two, i32x4.shuffle(two, two, 2, 3, 0, 1)));
  }
  const most = i16x8.splat(258);
  return v128.any_true(i16x8.gt_s(most2, most)) ? 1 : v128.any_true(i16x8.gt_s(most4, most)) ? 2 : 4;
}

/** `sharedSteps` of the leading elements of a row. */
export function sharedLead(query: usize, headDim: i32): i32 {
  return ASC_FEATURE_RELAXED_SIMD ? load<i32>(query + (<usize>headDim << 1), 8) : 1;
}

/** The least `sharedSteps` of the other elements of some rows. */
export function sharedRest(query: usize, querySize: usize, rows: i32, headDim: i32): i32 {
  let least = 4;
  for (let r = 0; r < rows; r++, query += querySize)
    if (ASC_FEATURE_RELAXED_SIMD) least = min(least, load<i32>(query + (<usize>headDim << 1), 12));
    else least = 1;
  return least;
}

/** q·(covariance·q) of four rows of `bytes`, four lanes of each: f32 out[4][4]. */
function squaredDeviations(out: usize, query: usize, covariance: usize, bytes: usize): void {
  const query1 = query + bytes;
  const query2 = query1 + bytes;
  const query3 = query2 + bytes;
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  for (let j: usize = 0; j < bytes; j += 16) {
    let w = f32x4.splat(0);
    let x = w;
    let y = w;
    let z = w;
    let column = covariance + j;
    for (let i: usize = 0; i < bytes; i += 4, column += bytes) {
      const factor = v128.load(column);
      w = f32x4.add(w, f32x4.mul(v128.load32_splat(query + i), factor));
      x = f32x4.add(x, f32x4.mul(v128.load32_splat(query1 + i), factor));
      y = f32x4.add(y, f32x4.mul(v128.load32_splat(query2 + i), factor));
      z = f32x4.add(z, f32x4.mul(v128.load32_splat(query3 + i), factor));
    }
    a = f32x4.add(a, f32x4.mul(v128.load(query + j), w));
    b = f32x4.add(b, f32x4.mul(v128.load(query1 + j), x));
    c = f32x4.add(c, f32x4.mul(v128.load(query2 + j), y));
    d = f32x4.add(d, f32x4.mul(v128.load(query3 + j), z));
  }
  v128.store(out, a);
  v128.store(out, b, 16);
  v128.store(out, c, 32);
  v128.store(out, d, 48);
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
