import { FormatError } from "../../errors.js";
import { StringList, type Strings } from "../string-list.js";
import type { MetadataValue } from "./metadata.js";

/** Typed look-ups in the metadata of one GGUF file; a value of another type is a FormatError naming the key. */
export class Fields {
  constructor(
    readonly metadata: Map<string, MetadataValue>,
    readonly file: string,
  ) {}

  number(key: string): number | undefined {
    const value = this.metadata.get(key);
    if (value === undefined) return undefined;
    if (typeof value !== "number") throw this.wrong(key, "a number");
    return value;
  }

  /** An f32 number as the short decimal it was written as. */
  decimal(key: string): number | undefined {
    const value = this.number(key);
    return value === undefined ? undefined : decimal(value);
  }

  /** A number, or an array of numbers that are all equal: some converters write one per layer. */
  uniformNumber(key: string): number | undefined {
    const value = this.metadata.get(key);
    if (typeof value !== "object") return this.number(key);
    const list: unknown[] = Array.from(value as ArrayLike<unknown>);
    const [first] = list;
    if (typeof first !== "number" || list.some((each) => each !== first)) {
      throw this.wrong(key, "one number, or the same for every layer");
    }
    return first;
  }

  requiredNumber(key: string): number {
    const value = this.uniformNumber(key);
    if (value === undefined) throw new FormatError("The metadata lacks a key that is needed", { file: this.file, key });
    return value;
  }

  string(key: string): string | undefined {
    const value = this.metadata.get(key);
    if (value !== undefined && typeof value !== "string") throw this.wrong(key, "a string");
    return value;
  }

  boolean(key: string): boolean | undefined {
    const value = this.metadata.get(key);
    if (value !== undefined && typeof value !== "boolean") throw this.wrong(key, "a boolean");
    return value;
  }

  strings(key: string): string[] | undefined {
    const value = this.metadata.get(key);
    if (value === undefined) return undefined;
    if (!Array.isArray(value) || (value.length > 0 && typeof value[0] !== "string")) {
      throw this.wrong(key, "an array of strings");
    }
    return value as string[];
  }

  /** Like `strings`, where the strings need not be values of their own. */
  stringList(key: string): Strings | undefined {
    const value = this.metadata.get(key);
    return value instanceof StringList ? value : this.strings(key);
  }

  numbers(key: string): number[] | Int32Array | Float32Array | undefined {
    const value = this.metadata.get(key);
    if (value === undefined || value instanceof Int32Array || value instanceof Float32Array) return value;
    const list: unknown[] = typeof value === "object" ? Array.from(value as ArrayLike<unknown>) : [value];
    if (typeof value !== "object" || list.some((each) => typeof each !== "number")) {
      throw this.wrong(key, "an array of numbers");
    }
    return list as number[];
  }

  private wrong(key: string, expected: string): FormatError {
    return new FormatError(`The metadata value is not ${expected}`, { file: this.file, key });
  }
}

/** The f32 nearest to a short decimal, back as that decimal: 1e-5 and not 0.00000999999974737875. */
export function decimal(value: number): number {
  const short = Number(value.toPrecision(7));
  return Math.fround(short) === value ? short : value;
}
