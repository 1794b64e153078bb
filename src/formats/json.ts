import { FormatError } from "../errors.js";
import type { ByteSource } from "./source.js";

/** Typed look-ups in one parsed JSON object; a value of another type is a FormatError naming the key. */
export class JsonFields {
  constructor(
    readonly json: Record<string, unknown>,
    readonly file: string,
  ) {}

  /** JSON `null` counts as absent. */
  get(key: string): unknown {
    return Object.hasOwn(this.json, key) ? (this.json[key] ?? undefined) : undefined;
  }

  number(key: string): number | undefined {
    const value = this.get(key);
    if (value !== undefined && typeof value !== "number") throw this.wrong(key, "a number");
    return value;
  }

  requiredNumber(key: string): number {
    const value = this.number(key);
    if (value === undefined) throw new FormatError("A value that is needed is missing", { file: this.file, key });
    return value;
  }

  string(key: string): string | undefined {
    const value = this.get(key);
    if (value !== undefined && typeof value !== "string") throw this.wrong(key, "a string");
    return value;
  }

  boolean(key: string): boolean | undefined {
    const value = this.get(key);
    if (value !== undefined && typeof value !== "boolean") throw this.wrong(key, "a boolean");
    return value;
  }

  object(key: string): JsonFields | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    if (!isObject(value)) throw this.wrong(key, "an object");
    return new JsonFields(value, this.file);
  }

  array(key: string): unknown[] | undefined {
    const value = this.get(key);
    if (value !== undefined && !Array.isArray(value)) throw this.wrong(key, "an array");
    return value;
  }

  /** A number or a list of numbers, as a list. */
  numbers(key: string): number[] | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    const list: unknown[] = Array.isArray(value) ? value : [value];
    if (list.some((each) => typeof each !== "number")) throw this.wrong(key, "a number or a list of numbers");
    return list as number[];
  }

  wrong(key: string, expected: string): FormatError {
    return new FormatError(`The value is not ${expected}`, { file: this.file, key });
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Reads and closes a small JSON file.
 * @throws FormatError when it is longer than `limit` bytes or not a JSON object.
 */
export async function readJsonObject(source: ByteSource, limit: number, signal?: AbortSignal): Promise<JsonFields> {
  const file = source.name;
  try {
    if (source.size > limit) {
      throw new FormatError(`The file has ${source.size} bytes; at most ${limit} are allowed`, { file });
    }
    const bytes = await source.read(0, source.size, signal);
    let parsed: unknown;
    try {
      parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    } catch (cause) {
      const page = /^\s*</.test(new TextDecoder().decode(bytes.subarray(0, 64)));
      throw page
        ? new FormatError("This is an HTML page, not JSON", { file }, "Download the file itself", { cause })
        : new FormatError(`The file is not JSON: ${(cause as Error).message}`, { file }, undefined, { cause });
    }
    if (!isObject(parsed)) throw new FormatError("The file is not a JSON object", { file });
    return new JsonFields(parsed, file);
  } finally {
    await source.close?.();
  }
}
