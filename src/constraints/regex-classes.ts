import { unicodeClass } from "../tokenizer/unicode-class.js";
import { type Ranges, rangesOf } from "./code-points.js";

const digits: Ranges = [0x30, 0x39];
const word: Ranges = [0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a];
// ECMA-262 WhiteSpace and LineTerminator.
const space: Ranges = [
  9, 13, 0x20, 0x20, 0xa0, 0xa0, 0x1680, 0x1680, 0x2000, 0x200a, 0x2028, 0x2029, 0x202f, 0x202f, 0x205f, 0x205f, 0x3000,
  0x3000, 0xfeff, 0xfeff,
];
export const lineEnds: Ranges = [10, 10, 13, 13, 0x2028, 0x2029];
export const singleEscapes: Record<string, number> = { t: 9, n: 10, v: 11, f: 12, r: 13 };
export const classEscapes: Record<string, Ranges> = { d: digits, w: word, s: space };
const categoryNames: Record<string, string> = {
  Letter: "L",
  Mark: "M",
  Number: "N",
  Punctuation: "P",
  Symbol: "S",
  punct: "P",
};

/** Members of a general category, by its short or long name; undefined for one that is not supported. */
export function categoryRanges(name: string): Ranges | undefined {
  const short = Object.hasOwn(categoryNames, name) ? categoryNames[name]! : name;
  const listed = unicodeClass(short);
  return listed && rangesOf(listed.flat());
}
