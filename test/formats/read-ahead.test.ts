import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytesSource } from "#src/formats/sources/bytes.js";
import { readAhead } from "#src/formats/sources/read-ahead.js";

const content = Uint8Array.from({ length: 20 << 20 }, (_, i) => (i * 7 + (i >> 13)) & 255);

/** A source that counts its reads. */
function counted() {
  const reads: [number, number][] = [];
  const inner = bytesSource(content);
  const source = readAhead({
    ...inner,
    read(offset, length, signal) {
      reads.push([offset, length]);
      return inner.read(offset, length, signal);
    },
  });
  return { source, reads };
}

test("small reads that go forwards share large ones, and no byte is read twice", async () => {
  const { source, reads } = counted();
  for (let at = 0; at < content.length; at += 100_000) {
    const length = Math.min(99_000, content.length - at);
    assert.equal(await source.read(at, length), content.subarray(at, at + length));
  }
  assert.ok(reads.length <= 8, String(reads.length));
  for (let i = 1; i < reads.length; i++)
    assert.ok(
      (reads[i] as [number, number])[0] >=
        (reads[i - 1] as [number, number])[0] + (reads[i - 1] as [number, number])[1],
    );
});

test("reads here and there ask for what is wanted and no more", async () => {
  const { source, reads } = counted();
  for (const at of [5_000_000, 100, 9_000_000, 3_000_000]) await source.read(at, 10);
  assert.equal(
    reads.map(([, length]) => length),
    [10, 10, 10, 10],
  );
});

test("any reads, also at once, give the bytes of the source", async () => {
  const read = fc.tuple(fc.nat(content.length - 1), fc.nat(3_000_000));
  await fc.assert(
    fc.asyncProperty(fc.array(read, { maxLength: 12 }), async (list) => {
      const { source } = counted();
      await Promise.all(
        list.map(async ([at, want]) => {
          const length = Math.min(want, content.length - at);
          assert.ok(Buffer.from(await source.read(at, length)).equals(content.subarray(at, at + length)));
        }),
      );
    }),
    { numRuns: 30 },
  );
});

test.run();
