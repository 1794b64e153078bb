import { geluF32x4, tanhF32x4 } from "./tanh";
import { rms_norm } from "./rms-norm";

/** out[i] = gelu(gate[i]) · up[i], the tanh form; f32, `count` a multiple of 4; `out` may be `gate`. The gate of Gemma. */
export function gelu_gate(out: usize, gate: usize, up: usize, count: i32): void {
  for (let end = <usize>count << 2, i: usize = 0; i < end; i += 16)
    v128.store(out + i, f32x4.mul(geluF32x4(v128.load(gate + i)), v128.load(up + i)));
}

/** x[row][i] += bias[i]; f32, `count` numbers per row, a multiple of 4. */
export function add_bias(x: usize, bias: usize, rows: i32, count: i32): void {
  const bytes = <usize>count << 2;
  for (let row = 0; row < rows; row++, x += bytes)
    for (let i: usize = 0; i < bytes; i += 16) v128.store(x + i, f32x4.add(v128.load(x + i), v128.load(bias + i)));
}

/** out[i] += x[i] · factor; f32, `count` a multiple of 4. */
export function add_scaled(out: usize, x: usize, count: i32, factor: f32): void {
  const scale = f32x4.splat(factor);
  for (let end = <usize>count << 2, i: usize = 0; i < end; i += 16)
    v128.store(out + i, f32x4.add(v128.load(out + i), f32x4.mul(v128.load(x + i), scale)));
}

/** x[i] ·= factor; f32, `count` a multiple of 4. */
export function scale_f32(x: usize, count: i32, factor: f32): void {
  const scale = f32x4.splat(factor);
  for (let end = <usize>count << 2, i: usize = 0; i < end; i += 16)
    v128.store(x + i, f32x4.mul(v128.load(x + i), scale));
}

/** `rms_norm` of each of `rows` consecutive rows of `size` numbers, in place, all with the same weights. */
export function rms_norm_rows(x: usize, weight: usize, rows: i32, size: i32, eps: f32): void {
  for (let row = 0; row < rows; row++, x += <usize>size << 2) rms_norm(x, x, weight, size, eps);
}

/** x[i] = x[i] / divisor, then cap · tanh(x[i] / cap) unless `cap` is 0; f32, any `count`. */
export function cap_logits(x: usize, count: i32, divisor: f32, cap: f32): void {
  const end = x + (<usize>count << 2);
  for (; x + 16 <= end; x += 16) v128.store(x, capped(v128.load(x), divisor, cap));
  for (; x < end; x += 4) store<f32>(x, f32x4.extract_lane(capped(v128.load32_splat(x), divisor, cap), 0));
}

// @ts-ignore: decorator
@inline
function capped(x: v128, divisor: f32, cap: f32): v128 {
  const y = f32x4.div(x, f32x4.splat(divisor));
  return cap == 0 ? y : f32x4.mul(f32x4.splat(cap), tanhF32x4(f32x4.div(y, f32x4.splat(cap))));
}

/**
 * Rotates pairs (j, j + turned / 2) of the first `turned` elements of every head, f32 [tokens][heads][headDim], in place, as
 * `rope_rotate` does; the rest stays. `table` is the row of the first token's position, f32 [2][turned / 2] per position.
 */
export function rope_rotate_part(
  x: usize,
  table: usize,
  tokens: i32,
  heads: i32,
  headDim: i32,
  turned: i32,
): void {
  const half = <usize>turned << 1;
  for (let token = 0; token < tokens; token++, table += half << 1)
    for (let head = 0; head < heads; head++, x += <usize>headDim << 2)
      for (let j: usize = 0; j < half; j += 4) {
        const cosine = load<f32>(table + j);
        const sine = load<f32>(table + half + j);
        const a = load<f32>(x + j);
        const b = load<f32>(x + half + j);
        store<f32>(x + j, a * cosine - b * sine);
        store<f32>(x + half + j, b * cosine + a * sine);
      }
}
