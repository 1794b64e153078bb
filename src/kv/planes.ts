import type { CacheContent } from "./cache.js";
import { PAGE, partBytes } from "./layout.js";

/**
 * How many leading elements of its keys a cache keeps apart in each part of a page, before the others, as selective scoring
 * reads them first; 0 where all of a group of 4 keys lie together, as in saved sessions.
 */
export function leadApart(cache: CacheContent): number {
  return cache.far ? 0 : (cache.parts.policy.select?.lead ?? 0);
}

/** A page of keys with all elements of a group together, from one with the leading ones apart. */
export function joinLeads(page: Uint8Array, headDim: number, lead: number): Uint8Array {
  const joined = page.slice();
  eachGroup(page.length, headDim, lead, (together, first, rest) => {
    joined.set(page.subarray(first, first + lead * 4), together);
    joined.set(page.subarray(rest, rest + (headDim - lead) * 4), together + lead * 4);
  });
  return joined;
}

/** Undoes `joinLeads`. */
export function splitLeads(page: Uint8Array, headDim: number, lead: number): Uint8Array {
  const split = page.slice();
  eachGroup(page.length, headDim, lead, (together, first, rest) => {
    split.set(page.subarray(together, together + lead * 4), first);
    split.set(page.subarray(together + lead * 4, together + headDim * 4), rest);
  });
  return split;
}

/** Where each group of 4 keys is in one form of a page, and its leading and other elements in the other. */
function eachGroup(
  bytes: number,
  headDim: number,
  lead: number,
  move: (together: number, first: number, rest: number) => void,
): void {
  for (let part = 0; part < bytes; part += partBytes("int8", headDim))
    for (let group = 0; group < PAGE / 4; group++)
      move(part + group * headDim * 4, part + group * lead * 4, part + PAGE * lead + group * (headDim - lead) * 4);
}
