// Models by name in one browser, from a hub on this machine: node runtime-tests/hub.mjs chromium
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { MockHub } from "../build/test/helpers/mock-hub.js";
import { isolation, serve } from "../scripts/web.mjs";
import { until, withBrowser } from "./browsers.mjs";

const root = resolve(fileURLToPath(import.meta.url), "../..");
const story = new Uint8Array(readFileSync(join(root, "weights/story.gguf")));
const NAME = "hf:me/story:Q8_0";

/** @param base folder with `dist/browser`: the repository, or the installed package */
export async function testHub(name, base = root) {
  const hub = await MockHub.start();
  const { server, url } = await serve(
    { "/": join(root, "runtime-tests/pages"), "/dist/browser/": join(base, "dist/browser") },
    { headers: isolation },
  );
  try {
    hub.commit("me/story", { "story-Q8_0.gguf": story, "README.md": "a story" });
    await withBrowser(name, (browser) => walk(browser, `${url}/hub.html`, hub));
  } finally {
    await hub.close();
    server.closeAllConnections();
    server.close();
  }
}

async function walk(browser, url, hub) {
  const { endpoint } = hub;
  const open = async () => {
    const page = await browser.newPage();
    await page.goto(url);
    await until(page, () => globalThis.ready);
    return page;
  };
  const load = (page, name, more = {}) =>
    page.evaluate((text, options) => globalThis.tryLoad(text, options), name, { endpoint, ...more });
  const list = (page) => page.evaluate(() => globalThis.listModels());

  // A tab that is closed in the middle; the next one goes on.
  hub.fault = ({ send }) => {
    send({ drip: { bytes: 65_536, ms: 30 } });
    return true;
  };
  let page = await open();
  void load(page, NAME).catch(() => {});
  await until(page, () => globalThis.downloaded > 2_000_000);
  await page.close();
  hub.fault = undefined;
  page = await open();
  const [begun] = await list(page);
  assert.equal(begun.partial, true);
  assert.ok(begun.size > 500_000, `${begun.size} bytes were kept`);
  hub.seen.length = 0;
  const first = await load(page, NAME);
  assert.equal(first.error, undefined);
  assert.equal(first.tokens.length, 3);
  assert.match(hub.fileRequests[0].range ?? "", /^bytes=[1-9]\d+-$/);
  const [whole] = await list(page);
  assert.equal(whole.partial, false);
  assert.equal(whole.size, story.length);

  // After a reload nothing is asked for, and without a connection it loads as well.
  hub.seen.length = 0;
  await page.reload();
  await until(page, () => globalThis.ready);
  assert.deepEqual((await load(page, NAME)).tokens, first.tokens);
  assert.deepEqual((await load(page, NAME, { offline: true })).tokens, first.tokens);
  assert.equal(hub.seen.length, 0);

  // Two tabs at once download once.
  await page.evaluate((text) => globalThis.removeModel(text), NAME);
  assert.deepEqual(await list(page), []);
  const other = await open();
  const both = await Promise.all([load(page, NAME), load(other, NAME)]);
  for (const { tokens, error } of both) assert.deepEqual(tokens, first.tokens, error);
  assert.equal(hub.fileRequests.length, 1);
  await other.close();

  // Wrong bytes are never kept.
  const another = story.slice();
  another[another.length - 1] ^= 1;
  hub.commit("me/wrong", { "m-Q8_0.gguf": another });
  hub.fault = ({ send }) => {
    send({ bytes: story });
    return true;
  };
  assert.match((await load(page, "hf:me/wrong")).error, /DownloadError: .*other bytes/);
  assert.equal((await list(page)).filter(({ partial }) => !partial).length, 1);
  hub.fault = undefined;

  // More than there is room for is refused before the first byte.
  hub.apiFault = (path, _, response) => {
    if (!path.includes("/tree/")) return false;
    const [oid, size] = ["a".repeat(64), 2 ** 52];
    response.setHeader("Content-Type", "application/json");
    response.end(
      JSON.stringify([
        { type: "file", path: "m-Q8_0.safetensors", size: 1, oid: "b".repeat(40) },
        { type: "file", path: "m-Q8_0.gguf", size, oid, lfs: { oid, size } },
      ]),
    );
    return true;
  };
  hub.commit("me/huge", { "m-Q8_0.gguf": "x" });
  hub.seen.length = 0;
  assert.match((await load(page, "hf:me/huge")).error, /(?:DownloadError: There is not enough room|MemoryError)/);
  assert.equal(hub.fileRequests.length, 0);
  hub.apiFault = undefined;

  // URLs are kept too, and so are chosen files.
  const address = `${endpoint.replace("127.0.0.1", "localhost")}/me/story/resolve/main/story-Q8_0.gguf`;
  assert.deepEqual((await load(page, address)).tokens, first.tokens);
  hub.seen.length = 0;
  assert.deepEqual((await load(page, address)).tokens, first.tokens);
  assert.equal(hub.seen.length, 0);
  const kept = await page.evaluate(async (from) => {
    const bytes = await (await fetch(from)).blob();
    return globalThis.keepModel(new File([bytes], "my story.gguf"));
  }, address);
  assert.deepEqual((await load(page, kept)).tokens, first.tokens);
  const names = (await list(page)).map(({ repository }) => repository);
  assert.ok(names.includes(address) && names.includes(kept), names.join(", "));
  for (const each of [address, kept]) await page.evaluate((text) => globalThis.removeModel(text), each);
  assert.ok((await list(page)).every(({ repository }) => repository !== kept && repository !== address));
  await page.close();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await testHub(process.argv[2] ?? "chromium");
  console.log("ok");
}
