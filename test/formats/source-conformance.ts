import { test } from "uvu";
import * as assert from "uvu/assert";
import { SourceError } from "#src/errors.js";
import type { ByteSource } from "#src/formats/source.js";

/** Content every source under test must hold: 200,000 bytes that differ from place to place. */
export const content = Uint8Array.from({ length: 200_000 }, (_, i) => (i * 31 + (i >> 8) * 7) & 255);

/** Error an async call rejects with; fails when it does not. */
export async function rejection(call: Promise<unknown>): Promise<Error> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.instance(error, Error, "expected a rejection");
  return error as Error;
}

/** Registers the tests every ByteSource must pass. `open` gives a source over `bytes`. */
export function sourceConformance(kind: string, open: (bytes: Uint8Array) => Promise<ByteSource>): void {
  test(`${kind}: size and name`, async () => {
    const source = await open(content);
    assert.is(source.size, content.length);
    assert.type(source.name, "string");
    assert.ok(source.name.length > 0);
    await source.close?.();
  });

  for (const [offset, length] of [
    [0, content.length],
    [0, 1],
    [content.length - 1, 1],
    [12_345, 6789],
    [65_530, 12],
    [70_000, 100_000],
    [content.length, 0],
    [5, 0],
  ] as const) {
    test(`${kind}: reads ${length} bytes from ${offset}`, async () => {
      const source = await open(content);
      const bytes = await source.read(offset, length);
      assert.instance(bytes, Uint8Array);
      assert.equal(Buffer.compare(bytes, content.subarray(offset, offset + length)), 0);
      await source.close?.();
    });
  }

  test(`${kind}: reads at once do not disturb each other`, async () => {
    const source = await open(content);
    const offsets = Array.from({ length: 20 }, (_, i) => i * 9000);
    const parts = await Promise.all(offsets.map((offset) => source.read(offset, 8000)));
    parts.forEach((part, i) => {
      const offset = offsets[i] as number;
      assert.is(Buffer.compare(part, content.subarray(offset, offset + 8000)), 0);
    });
    await source.close?.();
  });

  for (const [offset, length] of [
    [0, content.length + 1],
    [content.length, 1],
    [-1, 1],
    [0, -1],
    [0.5, 1],
    [0, Number.NaN],
    [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    [0, 2 ** 52],
  ] as const) {
    test(`${kind}: refuses ${length} bytes from ${offset}`, async () => {
      const source = await open(content);
      assert.instance(await rejection(source.read(offset, length)), SourceError);
      await source.close?.();
    });
  }

  test(`${kind}: an aborted signal stops a read with its reason`, async () => {
    const source = await open(content);
    const reason = new Error("no longer wanted");
    assert.is(await rejection(source.read(0, 100_000, AbortSignal.abort(reason))), reason);
    assert.is((await source.read(0, 10)).length, 10);
    await source.close?.();
  });

  test(`${kind}: reading after close is an error, closing twice is not`, async () => {
    const source = await open(content);
    await source.close?.();
    await source.close?.();
    assert.instance(await rejection(source.read(0, 1)), SourceError);
  });

  test(`${kind}: an empty source`, async () => {
    const source = await open(new Uint8Array(0));
    assert.is(source.size, 0);
    assert.is((await source.read(0, 0)).length, 0);
    assert.instance(await rejection(source.read(0, 1)), SourceError);
    await source.close?.();
  });
}
