// Writing one row of a layout. `row` is the row's number in the matrix; a row is written independently of its group.
import { f16FromFloat, floatFromF16, scalesFromF16 } from "./numbers";

/**
 * Place of source row `row`: with `headDim` ≠ 0, rows 2j and 2j + 1 of each head go to j and j + headDim / 2 (RoPE pairs
 * from neighbours to halves).
 */
// @ts-ignore: decorator
@inline
export function placeOfRow(row: i32, headDim: i32): i32 {
  if (headDim == 0) return row;
  const inHead = row % headDim;
  return row - inHead + (inHead >> 1) + (inHead & 1) * (headDim >> 1);
}

/** `codes`: u8 [padded], 0 … 2. */
// @ts-ignore: decorator
@inline
export function packTernaryRow(weights: usize, padded: i32, row: i32, codes: usize): void {
  let to = weights + <usize>(row >> 3) * (padded << 1) + ((row & 7) << 2);
  for (const end = codes + padded; codes < end; codes += 16, to += 32) {
    store<u32>(
      to,
      load<u32>(codes) | (load<u32>(codes, 4) << 2) | (load<u32>(codes, 8) << 4) | (load<u32>(codes, 12) << 6),
    );
  }
}

/** One block of 32 signed codes with the f16 scale `d`; `block` is the address of the group's block. */
// @ts-ignore: decorator
@inline
export function packQ8Block(block: usize, lane: i32, d: u32, codes: usize): void {
  store<u16>(block + (lane << 1), d);
  const to = block + 16 + (lane << 1);
  for (let quad = 0; quad < 8; quad++) {
    const four = load<u32>(codes + (quad << 2));
    const at = to + (quad << 5);
    store<u16>(at, (four & 0xff) | ((four >> 8) & 0xff00));
    store<u16>(at, ((four >> 8) & 0xff) | ((four >> 16) & 0xff00), 16);
  }
}

/** Packs 16 bytes of nibbles (low: columns 0–15, high: 16–31) of one block; `codes` is after the parameters. */
// @ts-ignore: decorator
@inline
export function packNibbles(to: usize, lane: i32, nibbles: usize): void {
  const at = to + (lane << 2);
  store<u32>(at, load<u32>(nibbles));
  store<u32>(at, load<u32>(nibbles, 4), 32);
  store<u32>(at, load<u32>(nibbles, 8), 64);
  store<u32>(at, load<u32>(nibbles, 12), 96);
}

/** One half block of 16 codes 0 … 63 with scale and minimum. */
// @ts-ignore: decorator
@inline
export function packCodes(half: usize, lane: i32, d: f32, m: f32, codes: usize): void {
  store<f32>(half + (lane << 2), d);
  store<f32>(half + (lane << 2), m, 32);
  const to = half + 64 + (lane << 2);
  store<u32>(to, load<u32>(codes));
  store<u32>(to, load<u32>(codes, 4), 32);
  store<u32>(to, load<u32>(codes, 8), 64);
  store<u32>(to, load<u32>(codes, 12), 96);
}

// @ts-ignore: decorator
@inline
function largest(values: usize): f32 {
  let top = f32x4.splat(0);
  for (let i: usize = 0; i < 128; i += 16) top = f32x4.max(top, f32x4.abs(v128.load(values + i)));
  return max(
    max(f32x4.extract_lane(top, 0), f32x4.extract_lane(top, 1)),
    max(f32x4.extract_lane(top, 2), f32x4.extract_lane(top, 3)),
  );
}

/**
 * 32 f32 values to signed codes with an f16 scale d = f16(max|x| / limit): code = round(x / d), half to even, within
 * ± limit; codes as i8 to `codes`. Returns the bits of d.
 */
// @ts-ignore: decorator
@inline
export function quantiseBlock(values: usize, codes: usize, limit: f32): u32 {
  const d = f16FromFloat(min<f32>(largest(values) / limit, 65504));
  const scale = f32x4.extract_lane(scalesFromF16(i32x4.splat((<i32>d << 16) >> 16)), 0);
  const inverse = f32x4.splat(scale == 0 ? 0 : <f32>1 / scale);
  const top = i32x4.splat(<i32>limit);
  const bottom = i32x4.splat(-<i32>limit);
  for (let i: usize = 0; i < 32; i += 4) {
    let code = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(values + (i << 2)), inverse)));
    code = i32x4.max_s(bottom, i32x4.min_s(top, code));
    const narrow = i16x8.narrow_i32x4_s(code, code);
    v128.store32_lane(codes + i, i8x16.narrow_i16x8_s(narrow, narrow), 0);
  }
  return d;
}
