import * as assert from "uvu/assert";
import { asked, eventually, get, post, sharedModel, storyHandler, test } from "./helpers.js";

test("models, health, props, slots and metrics", async () => {
  const handle = await storyHandler();
  assert.equal(await (await handle(get("/health"))).json(), { status: "ok" });
  const { data } = await (await handle(get("/v1/models"))).json();
  assert.is(data[0].id, "story");
  assert.is((await (await handle(get("/v1/models/story"))).json()).id, "story");
  assert.is((await handle(get("/v1/models/other"))).status, 404);
  assert.is(
    (await (await handle(get("/props"))).json()).default_generation_settings.n_ctx,
    (await sharedModel()).contextLength,
  );
  const { length } = await (await handle(get("/slots"))).json();
  assert.is(length, 16);
  await (await handle(post("/v1/completions", { prompt: "a", max_tokens: 3 }))).json();
  const metrics = await (await handle(get("/metrics"))).text();
  assert.match(metrics, /^deltallm_tokens_predicted_total 3$/m);
  assert.match(metrics, /prompt_tokens_total \d+/);
  assert.match(metrics, /requests_processing 0/);
  assert.is((await handle(get("/v1/chat/completions"))).status, 405);
});

test("too much waiting is refused with 429, too long a body with 413", async () => {
  const handle = await storyHandler({ parallel: 1, queue: 1, maxBodyBytes: 1000 });
  const long = { prompt: "a", max_tokens: 60, seed: 1 };
  const all = await Promise.all([1, 2, 3].map(() => handle(post("/v1/completions", long))));
  assert.equal(all.map(({ status }) => status).sort(), [200, 200, 429]);
  assert.ok(all.some((response) => response.headers.get("retry-after")));
  assert.is((await handle(post("/v1/completions", { prompt: "a".repeat(2000) }))).status, 413);
});

test("keys, host names and origins are checked", async () => {
  const open = await storyHandler();
  const at = (host: string, headers: Record<string, string> = {}) =>
    new Request(`http://${host}/v1/models`, { headers: { host, ...headers } });
  assert.is((await open(at("evil.example"))).status, 403);
  assert.is((await open(at("127.0.0.1:8080"))).status, 200);
  assert.is((await open(at("localhost", { origin: "http://evil.example" }))).status, 403);
  assert.is((await open(at("localhost", { origin: "http://localhost" }))).status, 200);
  const named = await storyHandler({ allowedHosts: ["nas.local"], allowedOrigins: ["https://page.example"] });
  assert.is((await named(at("nas.local"))).status, 200);
  const cross = await named(at("localhost", { origin: "https://page.example" }));
  assert.is(cross.headers.get("access-control-allow-origin"), "https://page.example");
  const closed = await storyHandler({ apiKeys: ["secret", "other"] });
  assert.is((await closed(at("anything.example"))).status, 401);
  assert.is((await closed(at("localhost", { authorization: "Bearer wrong!" }))).status, 401);
  assert.is((await closed(at("localhost", { authorization: "Bearer secre" }))).status, 401);
  assert.is((await closed(at("localhost", { authorization: "Bearer other" }))).status, 200);
  assert.is((await closed(get("/health"))).status, 200);
});

test("a request that takes too long ends with 504", async () => {
  const handle = await storyHandler({ timeout: 0.05 });
  const response = await handle(post("/v1/completions", { prompt: "Once", max_tokens: 900, temperature: 0 }));
  assert.is(response.status, 504);
});

test("closing lets those inside finish and refuses the rest", async () => {
  const handle = await storyHandler();
  const inside = handle(post("/v1/completions", { prompt: "Once", max_tokens: 900, seed: 1 }));
  await eventually(() => handle.load.running === 1);
  const closing = handle.close();
  assert.is((await handle(post("/v1/completions", { prompt: "Once" }))).status, 503);
  assert.is((await handle(get("/health"))).status, 503);
  assert.is((await inside).status, 200);
  await closing;
});

test("a model is loaded when asked for and unloaded for another", async () => {
  const handle = await asked({
    models: { first: { source: "embedded" }, second: { source: "embedded", options: { kvCache: "f32" } } },
  });
  const loaded = async () => {
    const { data } = await (await handle(get("/v1/models"))).json();
    return data.filter((each: { loaded: boolean }) => each.loaded).map(({ id }: { id: string }) => id);
  };
  assert.equal(await loaded(), []);
  const fingerprints = [];
  for (const model of ["second", "first"]) {
    const answer = await (await handle(post("/v1/completions", { model, prompt: "a", max_tokens: 1 }))).json();
    fingerprints.push(answer.system_fingerprint);
    assert.equal(await loaded(), [model]);
  }
  assert.is.not(fingerprints[0], fingerprints[1]);
  await handle.close();
});

test.run();
