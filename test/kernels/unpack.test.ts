import { readFileSync } from "node:fs";
import { deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { inflate } from "#src/kernels/inflate.js";
import { kernelBytes } from "#src/kernels/instantiate.js";
import { unpackKernels } from "#src/kernels/unpack.js";
import { atRoot } from "../helpers/fixtures.js";

for (const family of ["simd", "relaxed"] as const)
  test(`the ${family} kernels inside the package are the compiled ones`, () => {
    const compiled = new Uint8Array(readFileSync(atRoot(`build/kernels/${family}.wasm`)));
    assert.ok(Buffer.from(unpackKernels(family)).equals(compiled));
    const { getBuiltinModule } = process;
    process.getBuiltinModule = undefined as never; // as in browsers
    assert.ok(Buffer.from(unpackKernels(family)).equals(compiled));
    process.getBuiltinModule = getBuiltinModule;
    const shared = kernelBytes(`${family}-shared`);
    assert.ok(Buffer.from(shared).equals(compiled));
    const alone = kernelBytes(family);
    assert.is(alone.filter((byte, i) => byte !== shared[i]).length, 1);
  });

test("inflate undoes deflate: stored, fixed and dynamic blocks", () => {
  const content = fc.oneof(
    fc.uint8Array({ maxLength: 3000 }),
    fc.uint8Array({ maxLength: 5000, max: 3 }),
    fc.string({ maxLength: 2000 }).map((text) => new TextEncoder().encode(text.repeat(3))),
  );
  const options = fc.record({ level: fc.integer({ min: 0, max: 9 }), strategy: fc.integer({ min: 0, max: 4 }) });
  fc.assert(
    fc.property(content, options, (bytes, how) => {
      assert.equal(inflate(deflateRawSync(bytes, how), bytes.length), new Uint8Array(bytes));
    }),
    { numRuns: 200 },
  );
});

test("inflate reads more than 64 KiB, and refuses damaged data", () => {
  const bytes = Uint8Array.from({ length: 200_000 }, (_, i) => (i * i) >> 7);
  const packed = deflateRawSync(bytes);
  assert.equal(inflate(packed, bytes.length), bytes);
  assert.throws(() => inflate(packed.subarray(0, packed.length - 9), bytes.length), /damaged/);
  assert.throws(() => inflate(packed, bytes.length - 1), /damaged/);
  assert.throws(() => inflate(packed, bytes.length + 1), /damaged/);
});

test.run();
