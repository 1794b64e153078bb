import { test } from "uvu";
import * as assert from "uvu/assert";
import { DownloadError } from "#src/errors.js";
import { memoryCache } from "#src/hub/cache-memory.js";
import { parseName } from "#src/hub/names.js";
import { planPull } from "#src/hub/plan.js";
import { pull } from "#src/hub/pull.js";
import { check, content, failure, first, get, hub, KEY, settings, sha256, wrong } from "./fault-server.js";

test("a connection that is cut goes on where it was cut, with Range and If-Range", async () => {
  for (const redirect of [false, true]) {
    hub.redirect = redirect;
    hub.commit("me/big", { "m.gguf": content, note: String(Math.random()) });
    hub.seen.length = 0;
    hub.fault = first(3, ({ send }) => {
      send({ cutAfter: 700_000 });
      return true;
    });
    const cache = memoryCache();
    const { fetchedBytes } = await get(cache);
    await check(cache, true);
    const parts = hub.seen.filter(({ path, at }) => path.endsWith("m.gguf") && at === (redirect ? "cdn" : "hub"));
    assert.is(parts.length, 4);
    assert.is(parts[0]?.range, undefined);
    for (const { range, ifRange } of parts.slice(1)) {
      assert.match(range ?? "", /^bytes=[1-9]\d*-$/);
      assert.is(ifRange, `"${sha256}"`);
    }
    // Nothing was fetched twice.
    assert.is(fetchedBytes, content.length);
  }
});

test("an interrupted pull is gone on with by the next one, and says so", async () => {
  hub.fault = ({ send, request }) => {
    if (request.headers.range) request.socket.destroy();
    else send({ cutAfter: 1_000_000 });
    return true;
  };
  const cache = memoryCache();
  assert.instance(await failure(get(cache)), DownloadError);
  await check(cache, false);
  hub.fault = undefined;
  const { fetchedBytes, resumedBytes } = await get(cache);
  await check(cache, true);
  assert.is(fetchedBytes + resumedBytes, content.length);
  assert.ok(resumedBytes > 500_000, String(resumedBytes));
});

test("wrong bytes of the right length are never kept, and the next try is free to succeed", async () => {
  const cache = memoryCache();
  hub.fault = ({ send }) => {
    send({ bytes: wrong });
    return true;
  };
  const error = await failure(get(cache));
  assert.instance(error, DownloadError);
  assert.match(error.message, /other bytes/);
  await check(cache, false);
  hub.fault = undefined;
  await get(cache);
  await check(cache, true);
});

test("a wrong part from an earlier try is found and downloaded anew", async () => {
  const cache = memoryCache();
  const partial = await cache.partial(KEY, sha256);
  await partial.append(wrong.subarray(0, 2_700_000));
  await partial.close();
  const { resumedBytes, fetchedBytes } = await get(cache);
  await check(cache, true);
  assert.is(resumedBytes, 0);
  assert.is(fetchedBytes, content.length + 300_000);
});

test("a part longer than the file is thrown away", async () => {
  const cache = memoryCache();
  const partial = await cache.partial(KEY, sha256);
  await partial.append(new Uint8Array(content.length + 1));
  await partial.close();
  await get(cache);
  await check(cache, true);
});

test("a complete part needs its hash only", async () => {
  const cache = memoryCache();
  const partial = await cache.partial(KEY, sha256);
  await partial.append(content);
  await partial.close();
  const { resumedBytes } = await get(cache);
  await check(cache, true);
  assert.is(resumedBytes, content.length);
  assert.is(hub.fileRequests.length, 0);
});

test("a wrong length is refused before its bytes", async () => {
  for (const bytes of [content.subarray(0, 2_000_000), new Uint8Array(3_000_001)]) {
    const cache = memoryCache();
    hub.fault = ({ send }) => {
      send({ bytes });
      return true;
    };
    assert.match((await failure(get(cache))).message, /has 3000000 bytes/);
    await check(cache, false);
  }
});

test("a server that sends more than it promised is stopped", async () => {
  const cache = memoryCache();
  hub.fault = ({ response }) => {
    response.writeHead(200, { "Transfer-Encoding": "chunked" });
    response.write(content);
    response.end(new Uint8Array(10));
    return true;
  };
  assert.match((await failure(get(cache))).message, /sends more/);
  await check(cache, false);
});

test("another ETag between two parts starts anew", async () => {
  for (const ignoresIfRange of [false, true]) {
    const cache = memoryCache();
    hub.commit("me/big", { "m.gguf": content, note: String(Math.random()) });
    hub.fault = ({ send, count, request }) => {
      if (ignoresIfRange) delete request.headers["if-range"];
      send(count === 0 ? { etag: '"old"', bytes: wrong, cutAfter: 2_800_000 } : { etag: '"new"' });
      return true;
    };
    await get(cache);
    await check(cache, true);
  }
});

test("a server without Range starts from the beginning, and one that always breaks off is given up", async () => {
  const cache = memoryCache();
  hub.fault = ({ send, count }) => {
    send(count < 2 ? { noRange: true, cutAfter: 1_500_000 } : { noRange: true });
    return true;
  };
  await get(cache);
  await check(cache, true);
  hub.commit("me/big", { "m.gguf": content, note: "again" });
  hub.fault = ({ send }) => {
    send({ noRange: true, cutAfter: 1_000_000 });
    return true;
  };
  const other = memoryCache();
  assert.instance(await failure(get(other)), DownloadError);
  await check(other, false);
});

test("416 on a part starts anew", async () => {
  const cache = memoryCache();
  const partial = await cache.partial(KEY, sha256);
  await partial.append(content.subarray(0, 1_000_000));
  await partial.close();
  hub.fault = ({ request, response }) => {
    if (!request.headers.range) return false;
    response.writeHead(416).end();
    return true;
  };
  await get(cache);
  await check(cache, true);
});

test("the signal stops a pull under way; what came is kept", async () => {
  const cache = memoryCache();
  hub.fault = ({ send }) => {
    send({ drip: { bytes: 100_000, ms: 5 } });
    return true;
  };
  const controller = new AbortController();
  const reason = new Error("enough");
  const plan = await planPull(settings, cache, parseName("hf:me/big") as never);
  const run = pull(settings, cache, plan, {
    signal: controller.signal,
    onProgress: ({ bytes }) => bytes > 1_200_000 && controller.abort(reason),
  });
  assert.is(await failure(run), reason);
  await check(cache, false);
  hub.fault = undefined;
  assert.ok((await get(cache)).resumedBytes > 1_000_000);
});

test.run();
