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
