import { test } from "uvu";
import * as assert from "uvu/assert";
import type { DeltaLLMError, FormatError, UnsupportedError } from "#src/errors.js";
import { openModel } from "#src/formats/open.js";
import { type Entry, type Oddities, type WrittenTensor, writeGguf } from "../helpers/gguf-writer.js";
import { tinyLlama } from "../helpers/tiny-gguf.js";
import { rejection } from "./source-conformance.js";

export const { entries, tensors } = tinyLlama();
export const BIG = 2n ** 60n;

/** `tensors` with one of them changed. */
export function change(name: string, fields: Partial<WrittenTensor>): WrittenTensor[] {
  return tensors.map((tensor) => (tensor.name === name ? { ...tensor, ...fields } : tensor));
}

/** Writes `value` over the bytes after the first occurrence of `marker`. */
export function patchAfter(bytes: Uint8Array, marker: string, skip: number, value: bigint): Uint8Array {
  const at = Buffer.from(bytes).indexOf(marker) + marker.length + skip;
  new DataView(bytes.buffer).setBigUint64(at, value, true);
  return bytes;
}

export interface Case {
  what: string;
  entries?: Entry[];
  tensors?: WrittenTensor[];
  odd?: Oddities;
  damage?: (bytes: Uint8Array) => Uint8Array;
  error: typeof FormatError | typeof UnsupportedError;
  message: RegExp;
  place?: Partial<DeltaLLMError["place"]>;
}

/** One test for each. */
export function refuse(cases: readonly Case[]): void {
  for (const { what, error, message, place, damage, odd, ...parts } of cases) {
    test(`refused: ${what}`, async () => {
      const bytes = writeGguf(parts.entries ?? entries, parts.tensors ?? tensors, odd);
      const found = await rejection(openModel(damage ? damage(bytes) : bytes));
      assert.instance(found, error, found.stack);
      assert.match(found.message, message);
      assert.ok(found.message.includes("bytes in memory"), `no file name in: ${found.message}`);
      for (const [key, value] of Object.entries(place ?? {})) {
        assert.is((found as DeltaLLMError).place[key as keyof DeltaLLMError["place"]], value);
      }
    });
  }
}
