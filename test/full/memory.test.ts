import { loadModel } from "deltallm";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EngineSession } from "#src/generate/session.js";
import { shared } from "../helpers/fixtures.js";

const settle = async () => {
  for (let i = 0; i < 3; i++) {
    (globalThis as { gc?: () => void }).gc?.();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

for (const threads of [1, 2]) {
  test(`loading, using and disposing 50 times leaves memory flat (${threads} threads)`, async () => {
    const resident: number[] = [];
    for (let round = 0; round < 50; round++) {
      const model = await loadModel("embedded", { threads });
      for await (const _ of model.generate("Once", { maxTokens: 5, seed: 1 }));
      await model.dispose();
      if (round % 10 === 9) {
        await settle();
        resident.push(process.memoryUsage().rss);
      }
    }
    const growth = ((resident.at(-1) as number) - (resident[0] as number)) / 2 ** 20;
    console.log(
      `resident after 10 … 50 rounds: ${resident.map((bytes) => (bytes / 2 ** 20).toFixed(0)).join(", ")} MiB`,
    );
    // One leaked model would be 11 MiB, forty 440; the engine's own heap wanders by some MiB.
    assert.ok(growth < 40, `${growth.toFixed(0)} MiB more after 40 rounds`);
  });
}

for (const engineThread of ["caller", "worker"] as const)
  test(`1,000 sessions created, used and disposed leave the heap as it was (engine in the ${engineThread}'s thread)`, async () => {
    const model = await loadModel("embedded", { threads: 1, engineThread, prefixCacheBytes: 0 });
    const seen: WeakRef<object>[] = [];
    const use = async (count: number) => {
      for (let i = 0; i < count; i++) {
        const session = model.createSession();
        seen.push(new WeakRef(session));
        if (session instanceof EngineSession) seen.push(new WeakRef(session.cache));
        await session.prefill([i % 4000, 1, 2]);
        await session.dispose();
      }
      await settle();
      return { heap: process.memoryUsage().heapUsed, linear: model.stats().memoryBytes };
    };
    await use(300);
    const before = await use(1);
    const after = await use(1000);
    const alive = seen.filter((reference) => reference.deref()).length;
    const growth = after.heap - before.heap;
    console.log(`${engineThread}: ${growth} bytes more of heap after 1,000 sessions, ${alive} of them reachable`);
    await model.dispose();
    assert.is(alive, 0);
    assert.is(after.linear, before.linear);
    // JavaScript engines make some 0.3 MB come and go.
    assert.ok(growth < 1_000_000, `${growth} bytes more`);
  });

test("a model's weights are in memory once: peak = final size and at most 64 MiB", async () => {
  const path = shared("models", "SmolLM2-135M-Instruct.Q4_1.gguf");
  if (!path) return;
  await settle();
  const before = process.memoryUsage().rss;
  let peak = 0;
  const model = await loadModel(path, {
    threads: 1,
    onProgress: () => {
      peak = Math.max(peak, process.memoryUsage().rss);
    },
  });
  const { weightBytes } = model.stats();
  const extra = (peak - before - weightBytes) / 2 ** 20;
  console.log(`weights ${(weightBytes / 2 ** 20).toFixed(0)} MiB, peak ${extra.toFixed(0)} MiB above`);
  assert.ok(extra < 64, `${extra.toFixed(0)} MiB above the weights`);
  await model.dispose();
});

test.run();
