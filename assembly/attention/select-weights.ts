import { hoisted, max4, opaqueZero, RANGE, touch } from "./layout";
import { STEP } from "./product";
import { pairs } from "./select-scores";
import { stateBytes } from "./softmax";
import { ADDRESSES, CODES, GROUPS, INVERSES, TILE_SCALES } from "./work";

// Softmax weights and values of selective scoring, over the groups of 4 keys that are listed.

// The codes of the weights of a group: [4 rows][4 keys], bytes in the relaxed build, 16-bit numbers otherwise.
const GROUP_CODES: usize = STEP << 2;

/**
 * Weights of one row in one page, in place: exponentials below `lowest` become 0, the others are added to `sum`, per lane,
 * which is returned; then they are multiplied with the scales of the values. Writes the page's scale of the codes, and its
 * inverse.
 * @param from, to places in the list; @param scales of the page's values
 */
export function pageWeights(
  work: usize,
  row: i32,
  page: i32,
  from: i32,
  to: i32,
  scales: usize,
  lowest: v128,
  sum: v128,
): v128 {
  const list = work + GROUPS;
  const p = work + <usize>row * (RANGE << 2);
  let heaviest = f32x4.splat(0);
  for (let c = from; c < to; c++) {
    const place = p + (<usize>c << 4);
    const x = v128.load(place);
    const weight = v128.and(x, f32x4.ge(x, lowest));
    sum = f32x4.add(sum, weight);
    const scaled = f32x4.mul(weight, v128.load(scales + (<usize>(load<u8>(list + <usize>c) & 15) << 4)));
    v128.store(place, scaled);
    heaviest = f32x4.pmax(heaviest, scaled);
  }
  const top = max4(heaviest);
  const at = work + TILE_SCALES + (<usize>row << 2) + (<usize>page << 4);
  store<f32>(at, top / 127.0);
  store<f32>(at, top > 1e-36 ? 127.0 / top : 0, INVERSES - TILE_SCALES);
  return sum;
}

/**
 * Rounds the weights of up to four rows in a page to 7 bits. Groups in which no code is left are left out: the others follow
 * the first `kept`, with the addresses of their values. Returns how many are kept now.
 * @param values of the page
 */
export function packWeights(work: usize, some: i32, page: i32, from: i32, to: i32, values: usize, headDim: i32, kept: i32): i32 {
  if (some == 1) return packRows(work, page, from, to, values, headDim, kept, 1);
  if (some == 2) return packRows(work, page, from, to, values, headDim, kept, 2);
  if (some == 3) return packRows(work, page, from, to, values, headDim, kept, 3);
  return packRows(work, page, from, to, values, headDim, kept, 4);
}

// @ts-ignore: decorator
@inline
function packRows(work: usize, page: i32, from: i32, to: i32, values: usize, headDim: i32, kept: i32, rows: i32): i32 {
  const magic = hoisted(f32x4.splat(12582912.0), opaqueZero());
  const inverses = work + INVERSES + (<usize>page << 4);
  const a = v128.load32_splat(inverses);
  const b = rows > 1 ? v128.load32_splat(inverses, 4) : a;
  const c = rows > 2 ? v128.load32_splat(inverses, 8) : a;
  const d = rows > 3 ? v128.load32_splat(inverses, 12) : a;
  for (let i = from; i < to; i++) {
    const place = work + (<usize>i << 4);
    const w = code(place, a, magic);
    const x = rows > 1 ? code(place + (RANGE << 2), b, magic) : w;
    const y = rows > 2 ? code(place + (RANGE << 3), c, magic) : w;
    const z = rows > 3 ? code(place + 3 * (RANGE << 2), d, magic) : y;
    const first = i16x8.narrow_i32x4_s(w, x);
    const second = rows > 2 ? i16x8.narrow_i32x4_s(y, z) : first;
    const to = work + CODES + <usize>kept * GROUP_CODES;
    let any: v128;
    if (ASC_FEATURE_RELAXED_SIMD) {
      any = i8x16.narrow_i16x8_s(first, second);
      v128.store(to, any);
    } else {
      any = rows > 2 ? v128.or(first, second) : first;
      v128.store(to, first);
      v128.store(to, second, 16);
    }
    const group = <usize>(load<u8>(work + GROUPS + <usize>i) & 15) * (<usize>headDim << 2);
    store<u32>(work + ADDRESSES + (<usize>kept << 2), <u32>(values + group));
    kept += <i32>v128.any_true(any);
  }
  return kept;
}

// @ts-ignore: decorator
@inline
function code(place: usize, inverse: v128, magic: v128): v128 {
  return i32x4.sub(f32x4.add(f32x4.mul(v128.load(place), inverse), magic), magic);
}

/** Touches the values of the first `kept` groups: of four parts of the list at a time. */
export function touchValues(work: usize, kept: i32, headDim: i32): void {
  const bytes = <usize>headDim << 2;
  const addresses = work + ADDRESSES;
  const quarter = (kept + 3) >> 2;
  for (let c = 0; c < quarter; c++)
    touch(
      addressAt(addresses, c),
      addressAt(addresses, min(c + quarter, kept - 1)),
      addressAt(addresses, min(c + 2 * quarter, kept - 1)),
      addressAt(addresses, min(c + 3 * quarter, kept - 1)),
      bytes,
    );
}

// @ts-ignore: decorator
@inline
function addressAt(addresses: usize, place: i32): usize {
  return <usize>load<u32>(addresses + (<usize>place << 2));
}

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
