import { createHash } from "node:crypto";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ModelCache } from "#src/hub/cache.js";
import { memoryCache } from "#src/hub/cache-memory.js";
import { parseName } from "#src/hub/names.js";
import { planPull } from "#src/hub/plan.js";
import { type PulledFile, pull } from "#src/hub/pull.js";
import type { HubSettings } from "#src/hub/settings.js";
import { type Fault, MockHub } from "../helpers/mock-hub.js";

export const KEY = "models--me--big";
export const content = new Uint8Array(3_000_000);
for (let i = 0, state = 1; i < content.length; i++) {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  content[i] = state >>> 24;
}
content.set(new TextEncoder().encode("GGUF"));
export const sha256 = createHash("sha256").update(content).digest("hex");
export const wrong = content.slice();
wrong[2_500_000]! ^= 1;

export let hub: MockHub;
export let settings: HubSettings;

test.before(async () => {
  hub = await MockHub.start();
});
test.before.each(() => {
  hub.seen.length = 0;
  hub.fault = undefined;
  hub.apiFault = undefined;
  hub.token = undefined;
  hub.redirect = false;
  hub.commit("me/big", { "m.gguf": content, ".gitattributes": "small", note: String(Math.random()) });
  settings = {
    endpoint: hub.endpoint,
    token: undefined,
    offline: false,
    cacheFolder: undefined,
    idleMs: 300,
    retryMs: 1,
    slowMs: 3000,
  };
});
test.after(() => hub.close());

export async function get(cache: ModelCache = memoryCache(), name = "hf:me/big"): Promise<PulledFile> {
  const plan = await planPull(settings, cache, parseName(name) as never);
  return (await pull(settings, cache, plan))[0] as PulledFile;
}

export async function failure(run: Promise<unknown>): Promise<Error> {
  const error = await run.then(
    () => new Error("nothing was thrown"),
    (thrown: Error) => thrown,
  );
  assert.not.match(error.message, /\n/);
  return error;
}

/** What is there under its final name is right, or nothing is. */
export async function check(cache: ModelCache, complete: boolean): Promise<void> {
  const source = await cache.openBlob(KEY, sha256);
  assert.is(source !== undefined, complete);
  if (source) assert.equal(await source.read(0, source.size), content);
}

/** The first `times` requests of the file go wrong. */
export const first =
  (times: number, fault: Fault): Fault =>
  (context) =>
    context.count < times && fault(context);
