import { hoisted, opaqueZero } from "./layout";
import { pairs } from "./select-scores";
import { GROUP_CODES } from "./select-weights";
import { stateBytes } from "./softmax";
import { ADDRESSES, CODES, TILE_SCALES } from "./work";

// Values of selective scoring, over the groups of 4 keys whose weights are listed.

/** Adds the listed values of a page, times the weights of 1–4 rows, to the rows' states. */
export function pageValues(
  states: usize,
  work: usize,
  some: i32,
  page: i32,
  from: i32,
  to: i32,
  headDim: i32,
): void {
  if (some == 1) valueRows(states, work, page, from, to, headDim, 1);
  else if (some == 2) valueRows(states, work, page, from, to, headDim, 2);
  else if (some == 3) valueRows(states, work, page, from, to, headDim, 3);
  else valueRows(states, work, page, from, to, headDim, 4);
}

// @ts-ignore: decorator
@inline
function valueRows(
  states: usize,
  work: usize,
  page: i32,
  from: i32,
  to: i32,
  headDim: i32,
  rows: i32,
): void {
  const bytes = <usize>headDim << 2;
  const scales = work + TILE_SCALES + (<usize>page << 4);
  const state = stateBytes(headDim);
  const addresses = work + ADDRESSES + (<usize>from << 2);
  const end = work + ADDRESSES + (<usize>to << 2);
  const codes = work + CODES + <usize>from * GROUP_CODES;
  if (ASC_FEATURE_RELAXED_SIMD) {
    const ones = hoisted(i16x8.splat(1), opaqueZero());
    for (let i: usize = 0; i < bytes; i += 32) {
      let a0 = i32x4.splat(0);
      let a1 = a0;
      let b0 = a0;
      let b1 = a0;
      let c0 = a0;
      let c1 = a0;
      let d0 = a0;
      let d1 = a0;
      let code = codes;
      for (let at = addresses; at < end; at += 4, code += GROUP_CODES) {
        const p = <usize>load<u32>(at) + i;
        const x0 = v128.load(p);
        const x1 = v128.load(p, 16);
        const a = v128.load32_splat(code);
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(x0, a), ones));
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(x1, a), ones));
        if (rows > 1) {
          const b = v128.load32_splat(code, 4);
          b0 = i32x4.add(b0, i32x4.dot_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(x0, b), ones));
          b1 = i32x4.add(b1, i32x4.dot_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(x1, b), ones));
        }
        if (rows > 2) {
          const e = v128.load32_splat(code, 8);
          c0 = i32x4.add(c0, i32x4.dot_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(x0, e), ones));
          c1 = i32x4.add(c1, i32x4.dot_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(x1, e), ones));
        }
        if (rows > 3) {
          const d = v128.load32_splat(code, 12);
          d0 = i32x4.add(d0, i32x4.dot_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(x0, d), ones));
          d1 = i32x4.add(d1, i32x4.dot_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(x1, d), ones));
        }
      }
      add(states + i, scales, a0, a1);
      if (rows > 1) add(states + i + state, scales + 4, b0, b1);
      if (rows > 2) add(states + i + 2 * state, scales + 8, c0, c1);
      if (rows > 3) add(states + i + 3 * state, scales + 12, d0, d1);
    }
    return;
  }
  for (let i: usize = 0; i < bytes; i += 16) {
    let a0 = i32x4.splat(0);
    let a1 = a0;
    let b0 = a0;
    let b1 = a0;
    let c0 = a0;
    let c1 = a0;
    let d0 = a0;
    let d1 = a0;
    let code = codes;
    for (let at = addresses; at < end; at += 4, code += GROUP_CODES) {
      const p = <usize>load<u32>(at) + i;
      const x0 = v128.load8x8_s(p);
      const x1 = v128.load8x8_s(p, 8);
      const a = v128.load64_splat(code);
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(x0, a));
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(x1, a));
      if (rows > 1) {
        const b = v128.load64_splat(code, 8);
        b0 = i32x4.add(b0, i32x4.dot_i16x8_s(x0, b));
        b1 = i32x4.add(b1, i32x4.dot_i16x8_s(x1, b));
      }
      if (rows > 2) {
        const e = v128.load64_splat(code, 16);
        c0 = i32x4.add(c0, i32x4.dot_i16x8_s(x0, e));
        c1 = i32x4.add(c1, i32x4.dot_i16x8_s(x1, e));
      }
      if (rows > 3) {
        const d = v128.load64_splat(code, 24);
        d0 = i32x4.add(d0, i32x4.dot_i16x8_s(x0, d));
        d1 = i32x4.add(d1, i32x4.dot_i16x8_s(x1, d));
      }
    }
    addOne(states + i, scales, pairs(a0, a1));
    if (rows > 1) addOne(states + i + state, scales + 4, pairs(b0, b1));
    if (rows > 2) addOne(states + i + 2 * state, scales + 8, pairs(c0, c1));
    if (rows > 3) addOne(states + i + 3 * state, scales + 12, pairs(d0, d1));
  }
}

// @ts-ignore: decorator
@inline
function add(state: usize, scales: usize, a: v128, b: v128): void {
  addOne(state, scales, a);
  addOne(state + 16, scales, b);
}

// @ts-ignore: decorator
@inline
function addOne(state: usize, scales: usize, a: v128): void {
  const x = f32x4.mul(f32x4.convert_i32x4_s(a), v128.load32_splat(scales));
  v128.store(state, f32x4.add(v128.load(state), x));
}
