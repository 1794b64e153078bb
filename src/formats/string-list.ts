/** Strings one after the other. An array of strings is one. */
export interface Strings extends Iterable<string> {
  readonly length: number;
  /** The strings from `start` up to `end`, as an array has it. */
  slice(start: number, end: number): string[];
}

/**
 * Many short strings, cut out of a few long ones when they are asked for. As values of their own, the 280,147 merges of
 * a Llama-3 vocabulary make Node 24 take 60 MB that it does not give back, although they are needed but once.
 */
export class StringList implements Strings {
  /** A text and where each of its strings ends. */
  readonly #parts: { text: string; ends: Uint32Array }[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Appends the strings that `text` consists of, `lengths` UTF-16 units each. */
  append(text: string, lengths: ArrayLike<number>): void {
    const ends = new Uint32Array(lengths.length);
    for (let i = 0, end = 0; i < lengths.length; i++) ends[i] = end += lengths[i] as number;
    this.#parts.push({ text, ends });
    this.#length += lengths.length;
  }

  slice(start: number, end: number): string[] {
    const strings: string[] = [];
    let first = 0;
    for (const { text, ends } of this.#parts) {
      const stop = Math.min(end - first, ends.length);
      for (let i = Math.max(start - first, 0); i < stop; i++)
        strings.push(ownText(text.substring(ends[i - 1] ?? 0, ends[i])));
      first += ends.length;
    }
    return strings;
  }

  *[Symbol.iterator](): Generator<string, void, undefined> {
    for (const { text, ends } of this.#parts) {
      let start = 0;
      for (const end of ends) {
        yield text.substring(start, end);
        start = end;
      }
    }
  }
}

/** V8 cuts strings of so many characters out of a longer one by pointing into it: some long tokens would keep all of it. */
const LEAST_POINTER = 13;

/** The same string in memory of its own. */
function ownText(text: string): string {
  return text.length < LEAST_POINTER ? text : text.split("").join("");
}
