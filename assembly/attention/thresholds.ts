import { QueryRows } from "../abi";
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
  const rest = <usize>(headDim - lead) << 2;
  const selection = rows.selection;
  const means = selection + 16;
  const covariance = means + rest;
  const query = rows.work;
  for (let row = 0; row < rows.rows; row++) {
    const codes = rows.queries + <usize>row * queryBytes(headDim);
    const constants = codes + (<usize>headDim << 1);
    const scale = load<f32>(constants);
    const out = rows.thresholds + (<usize>row << 2);
    if (!(scale > 0)) {
      store<i32>(out, <i32>FARTHEST);
      continue;
    }
    for (let i: usize = 0; i < rest; i += 4) store<f32>(query + i, <f32>codeAt(codes, <usize>lead + (i >> 2)));
    let mean = f32x4.splat(0);
    let variance = f32x4.splat(0);
    for (let j: usize = 0; j < rest; j += 16) {
      let sum = f32x4.splat(0);
      let column = covariance + j;
      for (let i: usize = 0; i < rest; i += 4, column += rest)
        sum = f32x4.add(sum, f32x4.mul(v128.load32_splat(query + i), v128.load(column)));
      const q = v128.load(query + j);
      variance = f32x4.add(variance, f32x4.mul(q, sum));
      mean = f32x4.add(mean, f32x4.mul(q, v128.load(means + j)));
    }
    const deviation = sqrt<f32>(max<f32>(0, sumLanes(variance)));
    const logits = (load<f32>(rows.peaks + (<usize>row << 2)) - load<f32>(selection)) / scale;
    let added = 0;
    for (let i = 0; i < lead; i++) added += codeAt(codes, i);
    // Key codes have 64 added.
    const least = logits - load<f32>(selection, 4) * deviation - sumLanes(mean) + <f32>(added << 6);
    const most = f32x4.pmin(f32x4.splat(FARTHEST), f32x4.pmax(f32x4.splat(-FARTHEST), f32x4.splat(-least)));
    store<i32>(out, i32x4.extract_lane(i32x4.trunc_sat_f32x4_s(f32x4.floor(most)), 0));
  }
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
