import { test } from "uvu";
import * as assert from "uvu/assert";
import { Memory } from "#src/memory/memory.js";

test("a memory that is filled block by block grows in few steps, since each takes milliseconds", () => {
  const memory = new Memory({ shared: false, initialBytes: 1 << 20 });
  const sizes = new Set<number>();
  for (let i = 0; i < 1024; i++) {
    memory.alloc(1 << 18, "a block");
    sizes.add(memory.totalBytes);
  }
  assert.ok(sizes.size < 120, `${sizes.size} steps`);
  assert.ok(memory.totalBytes < memory.usedBytes * 1.1, `${memory.totalBytes} bytes for ${memory.usedBytes}`);
});

test.run();
