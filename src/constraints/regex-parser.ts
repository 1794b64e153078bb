import { OptionError } from "../errors.js";
import { allCodePoints, complementRanges, intersectRanges, type Ranges, rangesOf } from "./code-points.js";
import { limits } from "./limits.js";
import { characterClass, choice, type Regex, repeat, sequence } from "./regex.js";
import { categoryRanges, classEscapes, lineEnds, singleEscapes } from "./regex-classes.js";

/**
 * Reads a regular expression as ECMAScript does with the flag `u`, with the escapes allowed there without it as well.
 * Unicode categories `\p{L}`, `\p{M}`, `\p{N}`, `\p{P}`, `\p{S}` are those of one fixed Unicode version.
 * @param flags `i` (ASCII letters), `s`; `u`, `g`, `y` and `d` make no difference here
 * @param key what the errors name: the option, or a JSON pointer into a schema
 * @throws OptionError when the expression is wrong, or needs back references, look-around or another feature that is
 *   not supported
 */
export function parseRegex(source: string, flags: string, key: string): Regex {
  return new RegexParser(source, flags, key).parse();
}

class RegexParser {
  readonly #characters: string[];
  readonly #ignoreCase: boolean;
  readonly #dotAll: boolean;
  readonly #names = new Set<string>();
  #at = 0;
  #depth = 0;

  constructor(
    source: string,
    flags: string,
    readonly key: string,
  ) {
    if (source.length > limits.sourceLength) throw this.#refuse(`is longer than ${limits.sourceLength} characters`);
    const unknown = /[^isugyd]/.exec(flags);
    if (unknown) throw this.#refuse(`has the flag "${unknown[0]}", which is not supported`);
    this.#characters = Array.from(source);
    this.#ignoreCase = flags.includes("i");
    this.#dotAll = flags.includes("s");
  }

  parse(): Regex {
    const regex = this.#choice();
    if (this.#at < this.#characters.length) throw this.#refuse('has a ")" without a "("');
    return regex;
  }

  #choice(): Regex {
    if (++this.#depth > limits.depth) throw this.#refuse(`has more than ${limits.depth} groups inside each other`);
    const items = [this.#sequence()];
    while (this.#take("|")) items.push(this.#sequence());
    this.#depth--;
    return items.length === 1 ? items[0]! : choice(...items);
  }

  #sequence(): Regex {
    const items: Regex[] = [];
    for (;;) {
      const next = this.#peek();
      if (next === undefined || next === "|" || next === ")") return sequence(...items);
      const item = this.#atom();
      const assertion = item.kind === "start" || item.kind === "end";
      items.push(assertion ? item : this.#quantified(item));
    }
  }

  #quantified(item: Regex): Regex {
    const next = this.#peek();
    let bounds: [number, number] | undefined;
    if (next === "*") bounds = [0, Number.POSITIVE_INFINITY];
    else if (next === "+") bounds = [1, Number.POSITIVE_INFINITY];
    else if (next === "?") bounds = [0, 1];
    else if (next === "{") bounds = this.#bounds();
    if (!bounds) return item;
    this.#at++;
    this.#take("?"); // Lazy or not, the texts that match are the same.
    if (["*", "+", "?", "{"].includes(this.#peek() ?? "")) throw this.#refuse("repeats a repetition");
    return repeat(item, bounds[0], bounds[1]);
  }

  /** `{m}`, `{m,}` or `{m,n}`; leaves the position at the closing brace. */
  #bounds(): [number, number] {
    const match = /^\{(\d+)(,(\d*))?\}/.exec(this.#characters.slice(this.#at, this.#at + 32).join(""));
    if (!match) throw this.#refuse('has a "{" that begins no repetition; write "\\{" for the character');
    const min = Number(match[1]);
    const max = match[2] === undefined ? min : match[3] === "" ? Number.POSITIVE_INFINITY : Number(match[3]);
    if (max < min) throw this.#refuse(`has the repetition ${match[0]}, which ends before it begins`);
    this.#at += match[0].length - 1;
    return [min, max];
  }

  #atom(): Regex {
    const character = this.#characters[this.#at++]!;
    switch (character) {
      case "^":
        return { kind: "start" };
      case "$":
        return { kind: "end" };
      case ".":
        return characterClass(this.#dotAll ? allCodePoints : complementRanges(lineEnds));
      case "(":
        return this.#group();
      case "[":
        return characterClass(this.#class());
      case "\\": {
        const next = this.#peek();
        if (next === "b" || next === "B") throw this.#refuse(`has a word boundary (\\${next}), which is not supported`);
        if (next !== undefined && /[1-9k]/.test(next))
          throw this.#refuse(`has a back reference (\\${next}), which is not supported`);
        return characterClass(this.#cased(this.#escape(false)));
      }
      case "*":
      case "+":
      case "?":
      case "{":
        throw this.#refuse(`has a "${character}" with nothing to repeat`);
      case "]":
      case "}":
        throw this.#refuse(`has a "${character}" without its beginning`);
      default:
        return characterClass(this.#cased(this.#one(character)));
    }
  }

  #group(): Regex {
    if (this.#take("?")) {
      const kind = this.#characters[this.#at];
      const after = this.#characters[this.#at + 1];
      if (kind === "=" || kind === "!") throw this.#refuse("looks ahead, which is not supported");
      if (kind === "<" && (after === "=" || after === "!")) throw this.#refuse("looks behind, which is not supported");
      if (kind === "<") {
        const end = this.#characters.indexOf(">", this.#at);
        const name = this.#characters.slice(this.#at + 1, Math.max(end, 0)).join("");
        if (!/^[A-Za-z_$][\w$]*$/.test(name) || this.#names.has(name))
          throw this.#refuse(`has the group name "${name}", which is none or there twice`);
        this.#names.add(name);
        this.#at = end + 1;
      } else if (kind === ":") this.#at++;
      else throw this.#refuse(`has a group of the kind (?${kind ?? ""}, which is not supported`);
    }
    const inner = this.#choice();
    if (!this.#take(")")) throw this.#refuse('has a "(" without a ")"');
    return inner;
  }

  #class(): Ranges {
    const negated = this.#take("^");
    const parts: number[] = [];
    for (;;) {
      const character = this.#characters[this.#at++];
      if (character === undefined) throw this.#refuse('has a "[" without a "]"');
      if (character === "]") break;
      const low = character === "\\" ? this.#escape(true) : this.#one(character);
      if (this.#peek() === "-" && this.#characters[this.#at + 1] !== "]" && this.#at + 1 < this.#characters.length) {
        this.#at++;
        const last = this.#characters[this.#at++]!;
        const high = last === "\\" ? this.#escape(true) : this.#one(last);
        if (low.length !== 2 || low[0] !== low[1] || high.length !== 2 || high[0] !== high[1])
          throw this.#refuse("has a range between classes of characters");
        if (high[0]! < low[0]!) throw this.#refuse("has a range of characters that ends before it begins");
        parts.push(low[0]!, high[0]!);
      } else parts.push(...low);
    }
    const ranges = this.#cased(rangesOf(parts));
    return negated ? complementRanges(ranges) : ranges;
  }

  /** What follows a backslash. */
  #escape(inClass: boolean): Ranges {
    const character = this.#characters[this.#at++];
    if (character === undefined) throw this.#refuse("ends with a backslash");
    const lower = character.toLowerCase();
    const known = classEscapes[lower];
    if (known) return character === lower ? known : complementRanges(known);
    const single = singleEscapes[character];
    if (single !== undefined) return [single, single];
    if (character === "b" && inClass) return [8, 8];
    if (character === "0" && !/\d/.test(this.#peek() ?? "")) return [0, 0];
    if (character === "x") return this.#hex(2);
    if (character === "u") return this.#unicode();
    if (character === "c") {
      const letter = this.#characters[this.#at++] ?? "";
      if (!/^[A-Za-z]$/.test(letter)) throw this.#refuse("has a \\c without a letter");
      const code = letter.charCodeAt(0) & 31;
      return [code, code];
    }
    if (lower === "p") return this.#category(character === "P");
    if (/[A-Za-z0-9]/.test(character)) throw this.#refuse(`has the escape \\${character}, which is not known`);
    return this.#one(character);
  }

  #unicode(): Ranges {
    if (this.#peek() !== "{") {
      const [high] = this.#hex(4) as [number];
      const rest = this.#characters.slice(this.#at, this.#at + 6).join("");
      const low = /^\\u(d[c-f][0-9a-f]{2})$/i.exec(rest);
      if (high < 0xd800 || high > 0xdbff || !low) return [high, high];
      this.#at += 6;
      const code = 0x10000 + ((high - 0xd800) << 10) + (Number.parseInt(low[1]!, 16) - 0xdc00);
      return [code, code];
    }
    const end = this.#characters.indexOf("}", this.#at);
    const text = this.#characters.slice(this.#at + 1, Math.min(end, this.#at + 12)).join("");
    const code = /^[0-9A-Fa-f]+$/.test(text) ? Number.parseInt(text, 16) : Number.NaN;
    if (end < 0 || !(code <= 0x10ffff)) throw this.#refuse("has a \\u{…} that is no code point");
    this.#at = end + 1;
    return [code, code];
  }

  #hex(length: number): Ranges {
    const text = this.#characters.slice(this.#at, this.#at + length).join("");
    if (!new RegExp(`^[0-9A-Fa-f]{${length}}$`).test(text))
      throw this.#refuse(`has an escape that needs ${length} hexadecimal digits`);
    this.#at += length;
    const code = Number.parseInt(text, 16);
    return [code, code];
  }

  #category(negated: boolean): Ranges {
    const end = this.#peek() === "{" ? this.#characters.indexOf("}", this.#at) : -1;
    if (end < 0) throw this.#refuse("has a \\p without a name");
    const name = this.#characters
      .slice(this.#at + 1, end)
      .join("")
      .replace(/^(General_Category|gc)=/, "");
    this.#at = end + 1;
    const listed = categoryRanges(name);
    if (name === "Any") return negated ? [] : allCodePoints;
    if (name === "ASCII") return negated ? complementRanges([0, 0x7f]) : [0, 0x7f];
    if (listed === undefined)
      throw this.#refuse(`has the property \\p{${name}}; supported are L, M, N, P, S, Any and ASCII`);
    return negated ? complementRanges(listed) : listed;
  }

  #one(character: string): Ranges {
    const code = character.codePointAt(0)!;
    // Which letters belong together outside of ASCII depends on the Unicode version of whoever is asked.
    if (this.#ignoreCase && code > 0x7f && intersectRanges([code, code], categoryRanges("L")!).length)
      throw this.#refuse("ignores the case of a letter outside of ASCII, which is not supported");
    return [code, code];
  }

  /** With the flag `i`, ASCII letters in both cases. */
  #cased(ranges: Ranges): Ranges {
    if (!this.#ignoreCase) return ranges;
    const parts = [...ranges];
    for (let i = 0; i < ranges.length; i += 2)
      for (let code = 0x41; code <= 0x5a; code++) {
        const inside = (c: number) => c >= ranges[i]! && c <= ranges[i + 1]!;
        if (inside(code) || inside(code + 32)) {
          parts.push(code, code, code + 32, code + 32);
          // Unicode folds these two onto ASCII letters.
          if (code === 0x53) parts.push(0x17f, 0x17f);
          if (code === 0x4b) parts.push(0x212a, 0x212a);
        }
      }
    return rangesOf(parts);
  }

  #peek(): string | undefined {
    return this.#characters[this.#at];
  }

  #take(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at++;
    return true;
  }

  #refuse(what: string): OptionError {
    return new OptionError(`The regular expression ${what}`, { key: this.key });
  }
}
