import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { createCache } from "#src/attention/create-cache.js";
import { openModel } from "#src/formats/open.js";
import { Engine } from "#src/model/engine.js";
import { nextSlice } from "#src/model/slice.js";
import { shared } from "../helpers/fixtures.js";
import { readI32 } from "../helpers/golden.js";

const CONTEXT = 96;

for (const name of ["qwen3", "qwen2", "smollm3", "granite", "gemma3", "phi3", "falcon-e"]) {
  const folder = shared("golden", "arch", name);
  if (!folder) {
    test.skip(`${name}: logits are the same whichever are wanted`);
    continue;
  }
  test(`${name}: logits are the same whichever are wanted`, async () => {
    const path = name === "falcon-e" ? `${folder}/falcon-e-i2_s-embd-f16.gguf` : `${folder}/${name}-q8_0.gguf`;
    const ids = readI32(folder, "golden", "prompt_ids.i32");
    const engine = await Engine.load(await openModel(path), {
      threads: 2,
      contextLength: CONTEXT,
      prefillChunk: CONTEXT,
    });
    const { memory, config, kernels } = engine;
    const rowsAt = (address: number, rows: number) =>
      Array.from({ length: rows }, (_, row) =>
        Buffer.from(memory.u8(address + row * config.vocab * 4, config.vocab * 4)).toString("base64"),
      );
    const newCache = () =>
      createCache(memory, config, { kind: "int8", attention: {}, contextLength: CONTEXT, kernels });
    try {
      const text = Array.from({ length: 60 }, (_, i) => ids[(i * i) % ids.length] as number);
      const whole = newCache();
      const expected = rowsAt(engine.forward(text, [nextSlice(whole, 60, "all")])[0] as number, 60);
      engine.close(whole);
      whole.dispose();
      const steps = fc.array(
        fc.record({
          tokens: fc.tuple(fc.integer({ min: 1, max: 25 }), fc.integer({ min: 1, max: 25 })),
          want: fc.tuple(fc.constantFrom("none", "last", "all"), fc.constantFrom("none", "last", "all")),
        }),
        { minLength: 3, maxLength: 6 },
      );
      fc.assert(
        fc.property(steps, (passes) => {
          const caches = [newCache(), newCache()] as const;
          for (const { tokens, want } of passes) {
            const slices = caches.flatMap((cache, i) => {
              const count = Math.min(tokens[i] as number, 60 - cache.length);
              return count > 0 ? [nextSlice(cache, count, want[i] as "none" | "last" | "all")] : [];
            });
            if (slices.length === 0) break;
            const input = slices.flatMap((slice) => text.slice(slice.position, slice.position + slice.tokens));
            const addresses = engine.forward(input, slices);
            for (const [i, { position, tokens, want }] of slices.entries()) {
              if (want === "none") continue;
              const from = want === "all" ? position : position + tokens - 1;
              const rows = expected.slice(from, position + tokens);
              assert.equal(rowsAt(addresses[i] as number, rows.length), rows);
            }
          }
          for (const cache of caches) {
            engine.close(cache);
            cache.dispose();
          }
        }),
        { numRuns: 15 },
      );
    } finally {
      await engine.dispose();
    }
  });
}

test.run();
