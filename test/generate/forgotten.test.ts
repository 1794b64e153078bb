import { loadModel } from "deltallm";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { EngineModel } from "#src/generate/model.js";

const { gc } = globalThis as { gc?: () => void };

test("a generation that nobody can go on with gives its session back", async () => {
  assert.ok(gc, "run with --expose-gc");
  await using model = (await loadModel("embedded", { threads: 1, engineThread: "caller" })) as EngineModel;
  await (async () => {
    await model.generate("Once upon a time", { seed: 1 })[Symbol.asyncIterator]().next();
  })();
  assert.is(model.open.size, 1);
  for (let i = 0; i < 50 && model.open.size > 0; i++) {
    gc?.();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.is(model.open.size, 0);
});

test("one that is read on is not ended by a collection of garbage", async () => {
  await using model = await loadModel("embedded", { threads: 1 });
  let pieces = 0;
  for await (const piece of model.generate("Once upon a time", { seed: 1, maxTokens: 8 })) {
    gc?.();
    if (piece.token >= 0) pieces++;
  }
  assert.is(pieces, 8);
});

test.run();
