import type { RopeRows } from "../model/rope-tables.js";
import type { SeenKeys } from "./grid.js";
import type { RecordedHead } from "./recorded-head.js";
import type { Workspace } from "./workspace.js";

/** Positions, spread over the context, to which the recorded keys are turned: the grid must fit all of them. */
const TURNS = 8;
/** Keys at the beginning that are attention sinks. */
const FIRST = 4;

/** Rows of the RoPE table by which keys are turned on: from where they are to positions up to the end of the table. */
export function turnRows(windows: readonly RecordedHead[], d: number, { table, turned }: RopeRows): Float32Array[] {
  const longest = Math.max(...windows.map(({ keys }) => keys.length / d));
  const room = Math.max(0, table.length / turned - longest);
  const offsets = new Set(Array.from({ length: TURNS }, (_, i) => Math.floor((room * i) / (TURNS - 1))));
  return [...offsets].map((offset) => table.subarray(offset * turned, (offset + 1) * turned));
}

/** Turns the keys `first` … of [tokens][d] on, `count` of them; what is beyond the pairs of `turn` stays. */
function turn(keys: Float64Array, by: Float32Array, d: number, first = 0, count = keys.length / d): void {
  const half = by.length / 2;
  for (let at = first * d; at < (first + count) * d; at += d)
    for (let j = 0; j < half; j++) {
      const a = keys[at + j] as number;
      const b = keys[at + j + half] as number;
      const c = by[j] as number;
      const s = by[j + half] as number;
      keys[at + j] = a * c - b * s;
      keys[at + j + half] = b * c + a * s;
    }
}

/** The keys [tokens][d] turned on, in `space` where it is given; the very same where that changes nothing. */
export function turnedKeys(keys: Float64Array, by: Float32Array, d: number, space?: Workspace): Float64Array {
  const half = by.length / 2;
  if (by.every((x, i) => x === (i < half ? 1 : 0))) return keys;
  const out = space?.copy(keys) ?? keys.slice();
  turn(out, by, d);
  return out;
}

/** Every key where it is and by one turn more; the first ones, attention sinks far from all others, are never turned. */
export function seenKeys(
  space: Workspace,
  windows: readonly Float64Array[],
  turns: readonly Float32Array[],
  d: number,
): SeenKeys {
  const here = windows.map((keys) => turnedKeys(keys, turns[0] as Float32Array, d, space));
  const elsewhere = space.numbers(windows.reduce((sum, keys) => sum + keys.length, 0));
  let count = 0;
  for (const keys of windows)
    for (let t = FIRST; t < keys.length / d; t++) {
      if (t % turns.length === 0) continue;
      elsewhere.set(keys.subarray(t * d, (t + 1) * d), count * d);
      turn(elsewhere, turns[t % turns.length] as Float32Array, d, count++, 1);
    }
  return { here, elsewhere: elsewhere.subarray(0, count * d) };
}
