import { unicodeClasses } from "./unicode-classes.js";

/** Ranges of characters, first and last one, of a general category by its short name; undefined for an unknown one. */
export function unicodeClass(name: string): [first: number, last: number][] | undefined {
  if (!Object.hasOwn(unicodeClasses, name)) return undefined;
  let next = 0;
  return (unicodeClasses[name] as string).split(" ").map((word) => {
    const [gap, more = "0"] = word.split("-") as [string, string?];
    const first = next + Number.parseInt(gap, 36);
    const last = first + Number.parseInt(more, 36);
    next = last + 1;
    return [first, last];
  });
}
