import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { OptionError, SourceError, UnsupportedError } from "#src/errors.js";
import { openModel } from "#src/formats/open.js";
import { urlSource } from "#src/formats/sources/url.js";
import { closeServers, type Handler, ranged, serve, whole } from "../helpers/servers.js";
import { content, rejection } from "./source-conformance.js";

// What goes wrong between a server and a reader, and what is said of it.

const html = new TextEncoder().encode("<!DOCTYPE html><html><body>Sign in</body></html>");
const folder = mkdtempSync(join(tmpdir(), "deltallm-failures-"));

async function message(source: string | URL, type: new (...args: never[]) => Error = SourceError): Promise<string> {
  const error = await rejection(openModel(source));
  assert.instance(error, type, error.stack);
  return error.message;
}

test("a missing file, a page and a refused connection each say what happened, where and what to do", async () => {
  const missing = `${await serve((_, response) => response.writeHead(404).end())}model.gguf`;
  assert.match(await message(missing), /no such file \(404\) \(http.*model\.gguf\)\. It must name a GGUF file/);
  const page = `${await serve(whole(html))}model.gguf`;
  assert.match(await message(page, UnsupportedError), /HTML page.*model\.gguf.*\/resolve\//);
  const address = await serve(whole(html));
  closeServers();
  assert.match(await message(`${address}model.gguf`), /nothing listens there.*model\.gguf.*Check address/);
  assert.match(await message("http://"), /not an address.*https:\/\/example/);
  assert.match(await message(new URL("ftp://example.org/model.gguf")), /ftp:.*Use http/);
});

test("a folder without a model says what is in it instead", async () => {
  assert.match(await message(folder), /no config\.json.*Name a GGUF file, or a folder/);
  writeFileSync(join(folder, "a.gguf"), "");
  assert.match(await message(folder), /Name one of its GGUF files: a\.gguf/);
  const weights = join(folder, "weights");
  mkdirSync(weights);
  writeFileSync(join(weights, "model.safetensors"), "");
  assert.match(await message(weights), /It has weights: copy config\.json/);
  assert.match(await message(join(folder, "none")), /no such file or folder.*Check the path/);
});

test("files that are something else are named", async () => {
  for (const [content, words] of [
    ["", /is empty.*cut off/],
    ["version https://git-lfs.github.com/spec/v1\noid sha256:0", /Git LFS pointer/],
    ["PK\x03\x04rest", /PyTorch/],
    ["something else", /neither a GGUF/],
  ] as const) {
    const path = join(folder, "other");
    writeFileSync(path, content, "latin1");
    assert.match(await message(path, UnsupportedError), words);
  }
});

test("what is no source at all is an OptionError", async () => {
  for (const source of [null, {}, 5, "", undefined]) {
    const error = await rejection(openModel(source as unknown as string));
    assert.instance(error, OptionError, String(source));
  }
});

test("a file that changes between requests is noticed by Last-Modified too", async () => {
  const url = await serve(
    ranged(content, (headers, body, count) => {
      headers["Last-Modified"] = new Date(2026, 0, 1 + count).toUTCString();
      return body;
    }),
  );
  const source = await urlSource(url);
  assert.match((await rejection(source.read(100_000, 10))).message, /changed on the server/);
});

test("a range with a Content-Encoding is refused instead of waited for", async () => {
  for (const from of [0, 1]) {
    const url = await serve(
      ranged(content, (headers, body, count) => {
        if (count >= from) headers["Content-Encoding"] = "gzip";
        return body;
      }),
    );
    const read = urlSource(url).then((source) => source.read(100_000, 10));
    assert.match((await rejection(read)).message, /Content-Encoding "gzip"/);
  }
});

test("a server that says nothing, or stops in the middle, is given up in time", async () => {
  const silent: Handler = () => {};
  const error = await rejection(urlSource(await serve(silent), { answerMs: 20 }));
  assert.match(error.message, /did not answer within 20 ms.*127\.0\.0\.1/);
  const stalls: Handler = (_, response) => {
    response.writeHead(200, { "Content-Length": 1000 });
    response.write(new Uint8Array(10));
  };
  const stalled = await rejection(urlSource(await serve(stalls), { stallMs: 20 }));
  assert.match(stalled.message, /stalled: No byte arrived for 20 ms/);
});

test("the first body is asked for again when it breaks off, like later ones", async () => {
  const url = await serve((request, response, count) => {
    ranged(content, (headers, body) => {
      headers["Content-Length"] = String(body.length + (count === 0 ? 10 : 0));
      return body;
    })(request, response, count);
    if (count === 0) setTimeout(() => request.socket.destroy(), 20);
  });
  const source = await urlSource(url);
  assert.equal([...(await source.read(0, 3))], [...content.subarray(0, 3)]);
});

test("Retry-After is obeyed, and a wait too long is reported", async () => {
  const times: number[] = [];
  const url = await serve((request, response, count) => {
    times.push(performance.now());
    if (count === 0) response.writeHead(429, { "Retry-After": "1" }).end();
    else ranged(content)(request, response, count);
  });
  await urlSource(url);
  assert.ok((times[1] as number) - (times[0] as number) >= 990);
  let asked = 0;
  const busy = await serve((_, response) => {
    asked++;
    response.writeHead(503, { "Retry-After": "3600" }).end();
  });
  assert.match((await rejection(urlSource(busy))).message, /503/);
  assert.is(asked, 1);
});

test.after(() => {
  closeServers();
  rmSync(folder, { recursive: true });
});

test.run();
