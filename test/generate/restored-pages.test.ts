import { loadModel } from "deltallm";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { AttentionOptions } from "#src/attention/options.js";
import { embeddedCalibration } from "#src/embedded.js";
import type { EngineModel } from "#src/generate/model.js";

const calibration = await embeddedCalibration();
const load = async (window: number, prefixCacheBytes = 1 << 26) => {
  const attention: AttentionOptions = { kind: "delta", calibration, targetSparsity: 0.6, window };
  const options = { contextLength: 512, threads: 1, engineThread: "caller", prefixCacheBytes, attention } as const;
  return (await loadModel("embedded", options)) as EngineModel;
};
const ids = Array.from({ length: 400 }, (_, i) => (i * 7919 + 13) % 4096);

test("sessions saved with other windows give their pages to nobody, nor do their forks", async () => {
  await using wide = await load(128);
  const session = wide.createSession();
  await session.prefill(ids.slice(0, 300));
  const saved = await session.save();
  await using narrow = await load(16);
  await narrow.createSession().prefill(ids.slice(0, 257));
  const restored = await narrow.restore(saved);
  const fork = await restored.fork();
  await restored.prefill(ids.slice(300, 321));
  await fork.prefill(ids.slice(300, 385));
  await using alone = await load(16, 0);
  const expected = await alone.createSession().prefill(ids);
  const taken = await narrow.createSession().prefill(ids);
  assert.equal(taken, expected);
});

test.run();
