import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createHandler } from "deltallm/server";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { atRoot } from "../helpers/fixtures.js";

const bytes = readFileSync(atRoot("weights/story.gguf"));
const sha256 = createHash("sha256").update(bytes).digest("hex");
const handle = createHandler({ models: { story: { source: atRoot("weights/story.gguf") } } });
const get = (path: string, headers: Record<string, string> = {}, method = "GET") =>
  handle(new Request(`http://localhost${path}`, { method, headers }));
const body = async (response: Response) => Buffer.from(await response.arrayBuffer());

test("a model in memory can be fetched by the hash of its file, whole or in parts", async () => {
  assert.equal((await (await get("/files")).json()).data, []);
  assert.is((await get(`/files/${sha256}`)).status, 404);
  await handle.preload();
  assert.equal((await (await get("/files")).json()).data, [{ model: "story", sha256, size: bytes.length }]);
  const whole = await get(`/files/${sha256}`);
  assert.is(whole.status, 200);
  assert.is(whole.headers.get("etag"), `"${sha256}"`);
  assert.ok((await body(whole)).equals(bytes));
  const head = await get(`/files/${sha256}`, {}, "HEAD");
  assert.is(head.headers.get("content-length"), String(bytes.length));
  assert.is((await body(head)).length, 0);
});

test("ranges are those of RFC 9110", async () => {
  const end = bytes.length;
  const cases: [string, number, number][] = [
    ["bytes=0-3", 0, 4],
    ["bytes=100-", 100, end],
    ["bytes=-10", end - 10, end],
    [`bytes=${end - 5}-${end + 100}`, end - 5, end],
    ["bytes=0-2000000", 0, 2000001],
  ];
  for (const [range, from, to] of cases) {
    const part = await get(`/files/${sha256}`, { range });
    assert.is(part.status, 206, range);
    assert.is(part.headers.get("content-range"), `bytes ${from}-${to - 1}/${end}`);
    assert.ok((await body(part)).equals(bytes.subarray(from, to)), range);
  }
  for (const range of [`bytes=${end}-`, "bytes=5-4", "bytes=-0"]) {
    const outside = await get(`/files/${sha256}`, { range });
    assert.is(outside.status, 416, range);
    assert.is(outside.headers.get("content-range"), `bytes */${end}`);
  }
  const other = await get(`/files/${sha256}`, { range: "bytes=0-3", "if-range": '"other"' });
  assert.is(other.status, 200);
  await other.body?.cancel();
  const same = await get(`/files/${sha256}`, { range: "bytes=0-3", "if-range": `"${sha256}"` });
  assert.is(same.status, 206);
  await same.body?.cancel();
});

test.after(() => handle.close());
test.run();
