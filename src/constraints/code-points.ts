/** Sorted, disjoint ranges of Unicode code points: `[low, high, low, high, …]`, ends included. */
export type Ranges = readonly number[];

/** Everything UTF-8 can write: all code points but the surrogates. */
export const allCodePoints: Ranges = [0, 0xd7ff, 0xe000, 0x10ffff];

/** Sorts and joins ranges given in any order. Surrogates are left out. */
export function rangesOf(parts: readonly number[]): Ranges {
  const pairs: [number, number][] = [];
  for (let i = 0; i < parts.length; i += 2) pairs.push([parts[i]!, parts[i + 1]!]);
  pairs.sort((a, b) => a[0] - b[0]);
  const joined: number[] = [];
  for (const [low, high] of pairs) {
    const last = joined.length - 1;
    if (last > 0 && low <= joined[last]! + 1) joined[last] = Math.max(joined[last]!, high);
    else joined.push(low, high);
  }
  return intersectRanges(joined, allCodePoints);
}

export function intersectRanges(a: Ranges, b: Ranges): Ranges {
  const out: number[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const low = Math.max(a[i]!, b[j]!);
    const high = Math.min(a[i + 1]!, b[j + 1]!);
    if (low <= high) out.push(low, high);
    if (a[i + 1]! < b[j + 1]!) i += 2;
    else j += 2;
  }
  return out;
}

/** All code points that are not in `a`. */
export function complementRanges(a: Ranges): Ranges {
  const out: number[] = [];
  let next = 0;
  for (let i = 0; i < a.length; i += 2) {
    if (a[i]! > next) out.push(next, a[i]! - 1);
    next = a[i + 1]! + 1;
  }
  if (next <= 0x10ffff) out.push(next, 0x10ffff);
  return intersectRanges(out, allCodePoints);
}

/** Code points of a text; a lone surrogate becomes U+FFFD, as in UTF-8. */
export function codePointsOf(text: string): number[] {
  return Array.from(text, (character) => {
    const code = character.codePointAt(0)!;
    return code >= 0xd800 && code <= 0xdfff ? 0xfffd : code;
  });
}
