import { createHash } from "node:crypto";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DownloadError, SourceError } from "#src/errors.js";
import type { ModelCache } from "#src/hub/cache.js";
import { memoryCache } from "#src/hub/cache-memory.js";
import { ask } from "#src/hub/http.js";
import { parseName } from "#src/hub/names.js";
import { planPull } from "#src/hub/plan.js";
import { type PulledFile, pull } from "#src/hub/pull.js";
import type { HubSettings } from "#src/hub/settings.js";
import { pause } from "#src/platform/waiting.js";
import { type Fault, MockHub } from "../helpers/mock-hub.js";

const KEY = "models--me--big";
const content = new Uint8Array(3_000_000);
for (let i = 0, state = 1; i < content.length; i++) {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  content[i] = state >>> 24;
}
content.set(new TextEncoder().encode("GGUF"));
const sha256 = createHash("sha256").update(content).digest("hex");
const wrong = content.slice();
wrong[2_500_000]! ^= 1;

let hub: MockHub;
let settings: HubSettings;

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

async function get(cache: ModelCache = memoryCache(), name = "hf:me/big"): Promise<PulledFile> {
  const plan = await planPull(settings, cache, parseName(name) as never);
  return (await pull(settings, cache, plan))[0] as PulledFile;
}

async function failure(run: Promise<unknown>): Promise<Error> {
  const error = await run.then(
    () => new Error("nothing was thrown"),
    (thrown: Error) => thrown,
  );
  assert.not.match(error.message, /\n/);
  return error;
}

/** What is there under its final name is right, or nothing is. */
async function check(cache: ModelCache, complete: boolean): Promise<void> {
  const source = await cache.openBlob(KEY, sha256);
  assert.is(source !== undefined, complete);
  if (source) assert.equal(await source.read(0, source.size), content);
}

/** The first `times` requests of the file go wrong. */
const first =
  (times: number, fault: Fault): Fault =>
  (context) =>
    context.count < times && fault(context);

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

test("429 and 5xx are tried again, and reported when they stay", async () => {
  for (const status of [429, 500, 502, 503, 504]) {
    const cache = memoryCache();
    hub.commit("me/big", { "m.gguf": content, note: String(status) });
    hub.fault = first(3, ({ response }) => {
      response.writeHead(status, status === 429 ? { "Retry-After": "0" } : {}).end();
      return true;
    });
    hub.apiFault = (_, count, response) => {
      if (count < 2) response.writeHead(status).end();
      return count < 2;
    };
    await get(cache);
    await check(cache, true);
    hub.commit("me/big", { "m.gguf": content, note: `stays ${status}` });
    hub.fault = ({ response }) => {
      response.writeHead(status).end();
      return true;
    };
    const error = await failure(get());
    assert.instance(error, DownloadError);
    assert.match(error.message, new RegExp(String(status)));
  }
});

test("a server that asks for an hour's patience is reported at once", async () => {
  hub.fault = ({ response }) => {
    response.writeHead(429, { "Retry-After": "3600" }).end();
    return true;
  };
  assert.match((await failure(get())).message, /asks to wait 3600 s/);
  assert.is(hub.fileRequests.length, 1);
});

test("401, 403 and 404 are the user's to mend, and are not tried again", async () => {
  for (const [status, headers, message] of [
    [401, {}, /\(401\).*HF_TOKEN/],
    [403, { "X-Error-Code": "GatedRepo" }, /asked for.*\(403\).*accept its terms/],
    [404, { "X-Error-Code": "EntryNotFound" }, /no such file.*\(404\)/],
  ] as const) {
    hub.seen.length = 0;
    hub.fault = ({ response }) => {
      response.writeHead(status, headers).end();
      return true;
    };
    const error = await failure(get());
    assert.instance(error, SourceError);
    assert.match(error.message, message);
    assert.is(hub.fileRequests.length, 1);
  }
  for (const [name, message] of [
    ["hf:me/none", /no such repository/],
    ["hf:me/big@dev", /no such revision/],
  ] as const)
    assert.match((await failure(get(memoryCache(), name))).message, message);
});

test("a slow drip is waited for, a silent connection is not", async () => {
  hub.commit("me/big", { "m.gguf": content });
  hub.fault = ({ send, count }) => {
    send({ drip: { bytes: 200_000, ms: 40 } });
    return count >= 0;
  };
  const cache = memoryCache();
  await get(cache);
  await check(cache, true);
  hub.commit("me/big", { "m.gguf": content, note: "silent" });
  let silent = 0;
  hub.fault = ({ response, count, send }) => {
    if (count > 1) send();
    else {
      silent++;
      response.writeHead(200, { "Content-Length": content.length });
      response.write(content.subarray(0, 10));
    }
    return true;
  };
  const other = memoryCache();
  await get(other);
  await check(other, true);
  assert.ok(silent >= 1);
});

test("a slow connection gets others beside it; what does not fit together goes on over one", async () => {
  for (const fault of ["none", "cut", "other version", "whole file"]) {
    settings.slowMs = 50;
    hub.commit("me/big", { "m.gguf": content, note: fault });
    hub.seen.length = 0;
    hub.fault = ({ send, count, request }) => {
      const drip = { bytes: 2000, ms: 10 };
      if (count === 0) send({ drip });
      else if (fault === "cut" && count < 6) send({ cutAfter: 50_000 });
      else if (fault === "other version" && count === 2) send({ etag: '"other"' });
      else if (fault === "whole file" && /-\d/.test(request.headers.range ?? "")) send({ noRange: true });
      else send();
      return true;
    };
    const cache = memoryCache();
    const { sha256: got } = await get(cache);
    assert.is(got, sha256, fault);
    await check(cache, true);
    assert.ok(hub.fileRequests.length > 4, `${fault}: ${hub.fileRequests.length}`);
  }
});

test("a listing that is not one, an impossible commit and paths that lead away are refused", async () => {
  const answer = (text: string) => {
    hub.apiFault = (_, __, response) => {
      response.end(text);
      return true;
    };
  };
  for (const text of ["<html>", "{}", '{"sha":"../../x"}', "null", ""]) {
    answer(text);
    assert.instance(await failure(get()), DownloadError, text);
  }
  const sha = "0".repeat(40);
  hub.apiFault = (path, _, response) => {
    const files = ["../../../evil.gguf", "/etc/evil.gguf", "a\\b.gguf"].map((evil) => ({
      type: "file",
      path: evil,
      size: 4,
      oid: sha,
    }));
    response.end(path.includes("/tree/") ? JSON.stringify(files) : JSON.stringify({ sha }));
    return true;
  };
  assert.match((await failure(get())).message, /neither GGUF nor safetensors.*no files/);
});

test("a listing that never ends is refused", async () => {
  hub.apiFault = (path, _, response) => {
    if (!path.includes("/tree/")) return false;
    response.setHeader("Link", `<${hub.endpoint}${path}?page=2>; rel="next"`);
    response.end("[]");
    return true;
  };
  assert.match((await failure(get())).message, /does not end/);
});

test("redirects without an end, to nowhere and to other protocols are refused", async () => {
  for (const location of ["", "file:///etc/passwd", "data:,x", undefined]) {
    hub.fault = ({ response, path }) => {
      response.writeHead(302, { Location: location ?? `${hub.endpoint}${path}` }).end();
      return true;
    };
    assert.match((await failure(get())).message, /redirect/);
  }
});

test("a token that cannot be sent is not shown", async () => {
  const { hubSettings } = await import("#src/hub/settings.js");
  const error = await failure(hubSettings({}, { HF_TOKEN: "hf_sec\nret", HF_HOME: "/none" }));
  assert.not.match(error.message, /hf_sec/);
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

test("an answer whose reading is begun late, after a garbage collection, is whole", async () => {
  const { gc } = globalThis;
  assert.ok(gc, "run with --expose-gc");
  hub.fault = ({ send }) => {
    send({ drip: { bytes: 500_000, ms: 20 } });
    return true;
  };
  const answer = await ask(settings, `${hub.endpoint}/me/big/resolve/main/m.gguf`);
  // What registries of finalised objects do comes some turns after the collection.
  for (let turn = 0; turn < 5; turn++) {
    await pause(1);
    gc();
  }
  let bytes = 0;
  for await (const chunk of answer.chunks()) bytes += chunk.length;
  assert.is(bytes, content.length);
});

test("several pulls of one file at once download it once", async () => {
  const cache = memoryCache();
  hub.fault = ({ send }) => {
    send({ drip: { bytes: 500_000, ms: 5 } });
    return true;
  };
  await Promise.all([get(cache), get(cache), get(cache)]);
  await check(cache, true);
  assert.is(hub.fileRequests.length, 1);
});

test.run();
