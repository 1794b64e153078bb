import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { SourceError } from "#src/errors.js";
import { openModel } from "#src/formats/open.js";
import { urlSource } from "#src/formats/sources/url.js";
import { fixture } from "../helpers/fixtures.js";
import { closeServers, type Handler, ranged, serve, whole } from "../helpers/servers.js";
import { content, rejection, sourceConformance } from "./source-conformance.js";

sourceConformance("url with ranges", async (bytes) => urlSource(await serve(ranged(bytes))));
sourceConformance("url without ranges", async (bytes) => urlSource(await serve(whole(bytes))));

/** Opens and reads from the middle; the error of either. */
async function failure(handler: Handler, wholeLimit?: number): Promise<Error> {
  const url = await serve(handler);
  return rejection(
    (async () => {
      const source = await urlSource(url, { wholeLimit });
      await source.read(100_000, 1000);
    })(),
  );
}

const faults: [what: string, handler: Handler, message: RegExp][] = [
  ["no such file", (_, response) => response.writeHead(404).end(), /404/],
  ["no permission", (_, response) => response.writeHead(403).end(), /403.*token/],
  [
    "a range that starts elsewhere",
    ranged(content, (headers, body, count) => {
      if (count === 1) headers["Content-Range"] = `bytes 99999-100998/${content.length}`;
      return body;
    }),
    /Asked for bytes 100000 to 100999, the server sent 99999 to 100998/,
  ],
  [
    "a range that begins elsewhere on opening",
    ranged(content, (headers, body) => {
      headers["Content-Range"] = `bytes 10-${65545}/${content.length}`;
      return body;
    }),
    /the server sent 10 to 65545/,
  ],
  [
    "no Content-Range",
    ranged(content, (headers, body) => {
      delete headers["Content-Range"];
      return body;
    }),
    /Content-Range null.*expose/,
  ],
  [
    "a size that is not known",
    ranged(content, (headers, body) => {
      headers["Content-Range"] = "bytes 0-65535/*";
      return body;
    }),
    /Content-Range "bytes 0-65535\/\*"/,
  ],
  [
    "a body too short",
    ranged(content, (_, body, count) => (count ? body.subarray(1) : body)),
    /Asked for 1000 bytes, the server sent 999/,
  ],
  [
    "a body too long",
    ranged(content, (_, body, count) => (count ? new Uint8Array(body.length + 5) : body)),
    /Asked for 1000 bytes, the server sends more/,
  ],
  [
    "a file that changes its size",
    ranged(content, (headers, body, count) => {
      if (count) headers["Content-Range"] = `bytes 100000-100999/${content.length + 1}`;
      return body;
    }),
    /changed on the server/,
  ],
  [
    "a file that changes its tag",
    ranged(content, (headers, body, count) => {
      headers.ETag = `"${count}"`;
      return body;
    }),
    /changed on the server/,
  ],
  [
    "ranges that end after the first",
    (request, response, count) => (count ? whole(content) : ranged(content))(request, response, count),
    /Asked for a range, the server answered 200/,
  ],
  [
    "a transfer that breaks off",
    ranged(content, (headers, body, count) => {
      headers["Content-Length"] = String(body.length + (count ? 10 : 0));
      return body;
    }),
    /broke off|Asked for/,
  ],
];
for (const [what, handler, message] of faults) {
  test(`refused: ${what}`, async () => {
    const error = await failure((request, response, count) => {
      handler(request, response, count);
      // A body shorter than promised: end the connection instead of waiting.
      if (what.includes("breaks off") && count) setTimeout(() => request.socket.destroy(), 10);
    });
    assert.instance(error, SourceError, error.stack);
    assert.match(error.message, message);
  });
}

test("a server without ranges is refused beyond the limit, by its promise or by its bytes", async () => {
  assert.match((await failure(whole(content), 1000)).message, /200000 bytes are more than 1000/);
  const unpromised: Handler = (_, response) => {
    response.writeHead(200, { "Transfer-Encoding": "chunked" });
    response.write(content.subarray(0, 100_000));
    response.end(content.subarray(100_000));
  };
  assert.match((await failure(unpromised, 150_000)).message, /more than 150000/);
});

test("a busy server is asked again", async () => {
  const url = await serve((request, response, count) => {
    if (count % 2 === 0) response.writeHead(503).end();
    else ranged(content)(request, response, count);
  });
  const source = await urlSource(url);
  assert.equal([...(await source.read(100_000, 3))], [...content.subarray(100_000, 100_003)]);
});

test("a transfer that breaks off once is tried again", async () => {
  const url = await serve((request, response, count) => {
    ranged(content, (headers, body) => {
      headers["Content-Length"] = String(body.length + (count === 1 ? 10 : 0));
      return body;
    })(request, response, count);
    if (count === 1) setTimeout(() => request.socket.destroy(), 20);
  });
  const source = await urlSource(url);
  assert.equal([...(await source.read(100_000, 3))], [...content.subarray(100_000, 100_003)]);
});

test("the signal stops a request under way", async () => {
  const url = await serve((request, response, count) => {
    if (count === 0) ranged(content)(request, response, count);
  });
  const source = await urlSource(url);
  const stop = new AbortController();
  const reason = new Error("enough");
  setTimeout(() => stop.abort(reason), 20);
  assert.is(await rejection(source.read(100_000, 1000, stop.signal)), reason);
});

test("the signal stops a body under way, also the first one", async () => {
  const stalls: Handler = (_, response) => {
    response.writeHead(200, { "Content-Length": 1000 });
    response.write(new Uint8Array(10));
  };
  const stop = new AbortController();
  const reason = new Error("enough");
  setTimeout(() => stop.abort(reason), 50);
  assert.is(await rejection(urlSource(await serve(stalls), { signal: stop.signal })), reason);
});

/** A server for a folder of fixtures. */
function folder(...path: string[]): Handler {
  return (request, response, count) => {
    try {
      const name = decodeURIComponent((request.url ?? "").slice(1));
      ranged(new Uint8Array(readFileSync(fixture(...path, name))))(request, response, count);
    } catch {
      response.writeHead(404).end("<html>not found</html>");
    }
  };
}

test("models open by URL: a GGUF file, a folder with and without a slash, the weights in one", async () => {
  const gguf = await openModel(`${await serve(folder("golden", "llama-mini"))}llama-mini-q8_0.gguf`);
  assert.is(gguf.config.hidden, 64);
  const base = await serve(folder("golden", "llama-mini", "hf-bf16"));
  for (const address of [base, new URL("model.safetensors", base), `${base.slice(0, -1)}`]) {
    const file = await openModel(address);
    assert.is(file.container, "safetensors");
    assert.is(file.config.hidden, 64);
    await file.close();
  }
  const empty = await serve(folder("golden", "llama-mini"));
  assert.match((await rejection(openModel(empty))).message, /no such file \(404\) \(.*config\.json/);
});

test.after(closeServers);

test.run();
