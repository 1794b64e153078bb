import { clean, cleanX4 } from "./number";

/**
 * Index of the largest of x[0 … count), the lowest of several; −1 when all are NaN or −∞. Four lanes keep their own
 * best, merged by (value, lower index).
 */
export function argmax_f32(x: usize, count: i32): i32 {
  let best = f32x4.splat(-Infinity);
  let where = i32x4.splat(-1);
  let index = i32x4(0, 1, 2, 3);
  const whole = count & ~3;
  for (let i = 0; i < whole; i += 4) {
    const v = cleanX4(v128.load(x + (<usize>i << 2)));
    const larger = f32x4.gt(v, best);
    best = v128.bitselect(v, best, larger);
    where = v128.bitselect(index, where, larger);
    index = i32x4.add(index, i32x4.splat(4));
  }
  let value = f32x4.extract_lane(best, 0);
  let at = i32x4.extract_lane(where, 0);
  const v1 = f32x4.extract_lane(best, 1);
  const at1 = i32x4.extract_lane(where, 1);
  if (v1 > value || (v1 == value && at1 < at)) {
    value = v1;
    at = at1;
  }
  const v2 = f32x4.extract_lane(best, 2);
  const at2 = i32x4.extract_lane(where, 2);
  if (v2 > value || (v2 == value && at2 < at)) {
    value = v2;
    at = at2;
  }
  const v3 = f32x4.extract_lane(best, 3);
  const at3 = i32x4.extract_lane(where, 3);
  if (v3 > value || (v3 == value && at3 < at)) {
    value = v3;
    at = at3;
  }
  for (let i = whole; i < count; i++) {
    const v = clean(load<f32>(x + (<usize>i << 2)));
    if (v > value) {
      value = v;
      at = i;
    }
  }
  return at;
}

/** Whether (value a, id i) stands after (value b, id j) in the order: larger values first, then lower ids. */
// @ts-ignore: decorator
@inline
function after(a: f32, i: i32, b: f32, j: i32): bool {
  return a < b || (a == b && i > j);
}

/** Puts (value, id) at the root of a heap of `size` entries whose root stands last in the order, and restores the heap. */
// @ts-ignore: decorator
@inline
function siftDown(values: usize, ids: usize, size: i32, value: f32, id: i32): void {
  let at = 0;
  while (true) {
    let child = 2 * at + 1;
    if (child >= size) break;
    let childValue = load<f32>(values + (<usize>child << 2));
    let childId = load<i32>(ids + (<usize>child << 2));
    if (child + 1 < size) {
      const otherValue = load<f32>(values + (<usize>(child + 1) << 2));
      const otherId = load<i32>(ids + (<usize>(child + 1) << 2));
      if (after(otherValue, otherId, childValue, childId)) {
        child++;
        childValue = otherValue;
        childId = otherId;
      }
    }
    if (!after(childValue, childId, value, id)) break;
    store<f32>(values + (<usize>at << 2), childValue);
    store<i32>(ids + (<usize>at << 2), childId);
    at = child;
  }
  store<f32>(values + (<usize>at << 2), value);
  store<i32>(ids + (<usize>at << 2), id);
}

/**
 * The n largest of x[0 … count), largest first, equal ones by index: values (f32 [n]) and ids (i32 [n]). NaN and −∞
 * are left out, +∞ becomes the largest finite number. Returns how many there are, at most n. A heap of n entries.
 */
export function top_n_f32(values: usize, ids: usize, x: usize, count: i32, n: i32): i32 {
  let size = 0;
  let i = 0;
  for (; i < count && size < n; i++) {
    const value = clean(load<f32>(x + (<usize>i << 2)));
    if (value == -Infinity) continue;
    let at = size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const parentValue = load<f32>(values + (<usize>parent << 2));
      const parentId = load<i32>(ids + (<usize>parent << 2));
      if (!after(value, i, parentValue, parentId)) break;
      store<f32>(values + (<usize>at << 2), parentValue);
      store<i32>(ids + (<usize>at << 2), parentId);
      at = parent;
    }
    store<f32>(values + (<usize>at << 2), value);
    store<i32>(ids + (<usize>at << 2), i);
  }
  if (size > 0) {
    // Indices only grow, so an equal value never displaces one that is in.
    let least = load<f32>(values);
    for (; i < count; i++) {
      while (i + 4 <= count && !v128.any_true(f32x4.gt(v128.load(x + (<usize>i << 2)), f32x4.splat(least)))) i += 4;
      if (i >= count) break;
      const value = clean(load<f32>(x + (<usize>i << 2)));
      if (value > least) {
        siftDown(values, ids, size, value, i);
        least = load<f32>(values);
      }
    }
  }
  for (let last = size - 1; last > 0; last--) {
    const value = load<f32>(values + (<usize>last << 2));
    const id = load<i32>(ids + (<usize>last << 2));
    store<f32>(values + (<usize>last << 2), load<f32>(values));
    store<i32>(ids + (<usize>last << 2), load<i32>(ids));
    siftDown(values, ids, last, value, id);
  }
  return size;
}
