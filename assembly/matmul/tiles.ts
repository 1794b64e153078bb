// Activations of few tokens, side by side: tiles of four tokens, and of two where one or two are left. Per block of 32
// columns, for each four bytes of the codes those of every token in turn; then the scale of each token, then its Σ codes.
// All that a kernel reads of them lies in a row: records at the distance of many
// columns get into each other's way in the nearest cache, and eight tokens took longer than twice four. Missing tokens repeat the last; their sums are not used.
import { recordBytes } from "./blocks";

/** Bytes of the f32 sums of 8 rows × 16 tokens, the first of the scratch. */
export const FEW_SUMS: usize = 512;

/** Bytes of a tile; `wide`: 16-bit codes, in the order of `quantise_per_block`. */
// @ts-ignore: decorator
@inline
export function tileBytes(tokens: i32, padded: i32, wide: bool): usize {
  return <usize>tokens * ((<usize>padded << (wide ? 1 : 0)) + (padded >> 2));
}

/** The first two lanes of 32 bits of both, alternating. */
// @ts-ignore: decorator
@inline
function zipFirst(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 0, 4, 1, 5);
}

/** The last two. */
// @ts-ignore: decorator
@inline
function zipLast(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 2, 6, 3, 7);
}

/** Writes all tiles of some records from `quantise_per_block` to `to`. */
export function fillTiles(to: usize, records: usize, tokens: i32, padded: i32, wide: bool): void {
  const stride = recordBytes(padded);
  const shift: usize = wide ? 1 : 0;
  const codes = wide ? <usize>padded : 0;
  for (; tokens > 0; tokens -= 4, records += stride << 2) {
    const last = tokens - 1;
    const r1 = <usize>min(1, last) * stride;
    const r2 = <usize>min(2, last) * stride;
    const r3 = <usize>min(3, last) * stride;
    let from = records + codes;
    let parameters = records + <usize>padded * 3;
    for (const end = from + (<usize>padded << shift); from < end; parameters += 16) {
      for (const blockEnd = from + (<usize>32 << shift); from < blockEnd; from += 16) {
        const a = v128.load(from);
        const b = v128.load(from + r1);
        const ab0 = zipFirst(a, b);
        const ab1 = zipLast(a, b);
        if (tokens > 2) {
          const c = v128.load(from + r2);
          const d = v128.load(from + r3);
          const cd0 = zipFirst(c, d);
          const cd1 = zipLast(c, d);
          v128.store(to, v128.shuffle<i64>(ab0, cd0, 0, 2));
          v128.store(to, v128.shuffle<i64>(ab0, cd0, 1, 3), 16);
          v128.store(to, v128.shuffle<i64>(ab1, cd1, 0, 2), 32);
          v128.store(to, v128.shuffle<i64>(ab1, cd1, 1, 3), 48);
          to += 64;
        } else {
          v128.store(to, ab0);
          v128.store(to, ab1, 16);
          to += 32;
        }
      }
      const ab = zipFirst(v128.load(parameters), v128.load(parameters + r1));
      if (tokens > 2) {
        const cd = zipFirst(v128.load(parameters + r2), v128.load(parameters + r3));
        v128.store(to, v128.shuffle<i64>(ab, cd, 0, 2));
        v128.store(to, v128.shuffle<i64>(ab, cd, 1, 3), 16);
        to += 32;
      } else {
        v128.store(to, ab);
        to += 16;
      }
    }
  }
}
