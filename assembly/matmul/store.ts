/** The row of an id outside the matrix. */
// @ts-ignore: decorator
@inline
export function zeroRow(out: usize, columns: i32): void {
  memory.fill(out, 0, (<usize>columns) << 2);
}

/** Writes four neighbouring outputs, of which `count` exist. */
// @ts-ignore: decorator
@inline
export function storeOutputs(out: usize, value: v128, count: i32, accumulate: bool): void {
  if (count >= 4) {
    v128.store(out, accumulate ? f32x4.add(v128.load(out), value) : value);
  } else {
    if (count > 0) store<f32>(out, (accumulate ? load<f32>(out) : <f32>0) + f32x4.extract_lane(value, 0));
    if (count > 1) store<f32>(out, (accumulate ? load<f32>(out, 4) : <f32>0) + f32x4.extract_lane(value, 1), 4);
    if (count > 2) store<f32>(out, (accumulate ? load<f32>(out, 8) : <f32>0) + f32x4.extract_lane(value, 2), 8);
  }
}

/** Σ code · x − Σ x = Σ (code − 1) · x, with Σ x from the token's record (`quantise_per_token`). */
// @ts-ignore: decorator
@inline
export function centred(sum: v128, record: usize): v128 {
  return i32x4.sub(sum, v128.load32_splat(record, 4));
}

/** Four outputs of one token of a ternary matrix from Σ (code − 1) · x. */
// @ts-ignore: decorator
@inline
export function storeTernary(
  out: usize,
  sum: v128,
  record: usize,
  scale: f32,
  count: i32,
  accumulate: bool,
): void {
  const scaled = f32x4.mul(f32x4.convert_i32x4_s(sum), f32x4.splat(scale));
  storeOutputs(out, f32x4.div(scaled, v128.load32_splat(record)), count, accumulate);
}
