import * as assert from "uvu/assert";
import type { RequestRecord } from "#src/server/index.js";
import { asked, eventually, get, post, storyHandler, test } from "./helpers.js";

const long = { prompt: "Once", max_tokens: 900, temperature: 5, stream: true };
const short = { prompt: "Once", max_tokens: 2 };

test("one key has only so many requests running, other keys go on", async () => {
  const handle = await storyHandler({ apiKeys: ["a", "b"], perKey: 1 });
  const of = (key: string, body: object, signal?: AbortSignal) =>
    handle(post("/v1/completions", body, { headers: { Authorization: `Bearer ${key}` }, signal: signal ?? null }));
  const gone = new AbortController();
  const first = of("a", long, gone.signal).catch(() => undefined);
  await eventually(() => handle.load.running === 1);
  const refused = await of("a", short);
  assert.is(refused.status, 429);
  assert.ok(refused.headers.get("retry-after"));
  assert.is((await of("b", short)).status, 200);
  gone.abort();
  await first;
  await eventually(() => handle.load.running === 0);
  assert.is((await of("a", short)).status, 200);
});

test("nobody gets more tokens than the server's limit, whatever is asked", async () => {
  const handle = await storyHandler({ maxTokens: 5 });
  for (const most of [{}, { max_tokens: 50 }, { max_tokens: -1 }, { n_predict: 7 }, { max_tokens: 3 }]) {
    const { usage } = await (await handle(post("/v1/completions", { prompt: "Once", temperature: 0, ...most }))).json();
    assert.is(usage.completion_tokens, most.max_tokens === 3 ? 3 : 5, JSON.stringify(most));
  }
});

test("limits that say different things are refused", async () => {
  const handle = await storyHandler();
  const ask = (more: object) => handle(post("/v1/completions", { prompt: "Once", ...more }));
  const refused = await ask({ max_tokens: 3, n_predict: 4 });
  assert.is(refused.status, 400);
  assert.is((await refused.json()).error.param, "max_tokens");
  assert.is((await ask({ max_tokens: 3, n_predict: 3 })).status, 200);
});

test("the log has a record of each request, prompts and answers only when asked for", async () => {
  for (const logPrompts of [false, true]) {
    const records: RequestRecord[] = [];
    const handle = await storyHandler({ logPrompts, onRequest: (record) => records.push(record) });
    const body = { prompt: "Secret words", seed: 1, max_tokens: 4 };
    const answer = await handle(post("/v1/completions", body, { headers: { "X-Request-Id": "mine.1" } }));
    const { choices } = await answer.json();
    assert.is(answer.headers.get("x-request-id"), "mine.1");
    await (await handle(post("/v1/completions", { ...body, stream: true }))).text();
    await (await handle(get("/nothing"))).text();
    await eventually(() => records.length === 3);
    const [first, second, third] = records as [RequestRecord, RequestRecord, RequestRecord];
    assert.is(first.id, "mine.1");
    for (const record of [first, second]) {
      assert.is(record.status, 200);
      assert.is(record.completionTokens, 4);
      assert.is(record.finishReason, "length");
      assert.is(record.answer, logPrompts ? choices[0].text : undefined);
      assert.is(JSON.stringify(record).includes("Secret"), logPrompts);
    }
    assert.is(third.status, 404);
  }
});

test("an idle model is unloaded, and loaded again when asked for", async () => {
  const handle = await asked({ models: { story: { source: "embedded" } }, unloadAfter: 0.05 });
  const loaded = async () => (await (await handle(get("/v1/models"))).json()).data[0].loaded;
  const ask = async () => (await (await handle(post("/v1/completions", { ...short, seed: 1 }))).json()).choices[0].text;
  const text = await ask();
  while (await loaded()) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.is(await ask(), text);
  await handle.close();
});

test("an error in the middle of a stream is its last event", async () => {
  const handle = await storyHandler({ timeout: 2 });
  const endless = { temperature: 5, top_k: 0, top_p: 1, min_p: 0, stream: true };
  const ask = async (path: string, body: object) => (await handle(post(path, { ...endless, ...body }))).text();
  // So many at once that none is done in time, however fast the machine; seeds whose text goes on till the context ends.
  const [chat, response] = await Promise.all([
    ask("/v1/completions", { prompt: "Once", max_tokens: 900, n: 15, seed: 1 }),
    ask("/v1/responses", { input: "Once", seed: 1 }),
  ]);
  assert.match(chat as string, /\n\ndata: \{"error":\{[^}]+"code":"timeout"\}\}\n\n$/);
  assert.match(
    response as string,
    /event: error\ndata: [^\n]+\n\nevent: response\.failed\ndata: [^\n]+\n\ndata: \[DONE\]\n\n$/,
  );
  await eventually(() => handle.load.running === 0);
});

test.run();
