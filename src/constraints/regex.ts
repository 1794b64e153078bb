import type { Ranges } from "./code-points.js";

/** A regular expression over code points. */
export type Regex =
  | { readonly kind: "class"; readonly ranges: Ranges }
  | { readonly kind: "sequence"; readonly items: readonly Regex[] }
  | { readonly kind: "choice"; readonly items: readonly Regex[] }
  | { readonly kind: "repeat"; readonly item: Regex; readonly min: number; readonly max: number }
  /** `^` and `$`: hold at the start and at the end of the text only. */
  | { readonly kind: "start" }
  | { readonly kind: "end" };

export const characterClass = (ranges: Ranges): Regex => ({ kind: "class", ranges });
export const sequence = (...items: Regex[]): Regex => ({ kind: "sequence", items });
export const choice = (...items: Regex[]): Regex => ({ kind: "choice", items });
export const repeat = (item: Regex, min: number, max: number): Regex => ({ kind: "repeat", item, min, max });
