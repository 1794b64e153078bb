import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Allocator } from "#src/memory/allocator.js";

test("blocks never overlap, are aligned, and everything freed is free again", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(5000)), { maxLength: 200 }), (steps) => {
      const allocator = new Allocator(1000);
      const live: { start: number; size: number }[] = [];
      for (const [free, n] of steps) {
        if (free && live.length) {
          const [block] = live.splice(n % live.length, 1);
          allocator.free(block!.start);
        } else {
          const start = allocator.alloc(n);
          const size = Math.max(n, 1);
          assert.is(start % 64, 0);
          assert.ok(start >= 1000);
          assert.ok(live.every((other) => start + size <= other.start || other.start + other.size <= start));
          live.push({ start, size });
        }
      }
      for (const block of live) allocator.free(block.start);
      assert.is(allocator.usedBytes, 0);
      assert.is(allocator.end, 1024);
    }),
  );
});

test("freeing what is not in use throws", () => {
  const allocator = new Allocator(0);
  const start = allocator.alloc(10);
  allocator.free(start);
  assert.throws(() => allocator.free(start), /not allocated/);
});

test.run();
