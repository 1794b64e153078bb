import { expF32x4 } from "./exp";

/** out[i] = e^x[i] for `count` numbers (a multiple of 4). For tests and as a building block. */
export function exp_f32(out: usize, x: usize, count: i32): void {
  for (let i = 0; i < count; i += 4) v128.store(out + (i << 2), expF32x4(v128.load(x + (i << 2))));
}
