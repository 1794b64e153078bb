import { test } from "uvu";
import * as assert from "uvu/assert";
import { DownloadError, SourceError } from "#src/errors.js";
import { memoryCache } from "#src/hub/cache-memory.js";
import { ask } from "#src/hub/http.js";
import { pause } from "#src/platform/waiting.js";
import { check, content, failure, first, get, hub, settings, sha256 } from "./fault-server.js";

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
