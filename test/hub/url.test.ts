import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openModelSource } from "#src/load-engine.js";
import { runFake } from "../helpers/cli.js";
import { fixture } from "../helpers/fixtures.js";
import { sendFile } from "../helpers/mock-hub.js";

const folders: string[] = [];
const servers: Server[] = [];
const mini = (name: string) => new Uint8Array(readFileSync(fixture("golden", "llama-mini", name)));

async function serve(handle: RequestListener): Promise<{ base: string; seen: IncomingMessage[] }> {
  const seen: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    seen.push(request);
    handle(request, response);
  });
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return { base: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, seen };
}

/** Serves files by name; 404 for others. */
const serving =
  (files: Record<string, Uint8Array>): RequestListener =>
  (request, response) => {
    const bytes = files[decodeURIComponent((request.url ?? "").slice(1).split("?")[0] as string)];
    if (bytes) sendFile(request, response, bytes);
    else response.writeHead(404).end();
  };

function freshCache(): string {
  folders.push(mkdtempSync(join(tmpdir(), "deltallm-hub-")));
  return folders.at(-1) as string;
}

async function open(url: string | URL, cacheFolder: string, more = {}) {
  const file = await openModelSource(url, { hub: { cacheFolder, ...more } });
  await file.close();
  return file;
}

test("a GGUF file behind a URL is downloaded once: the second run asks for nothing", async () => {
  const { base, seen } = await serve(serving({ "m.gguf": mini("llama-mini-q8_0.gguf") }));
  const cache = freshCache();
  assert.is((await open(`${base}m.gguf`, cache)).config.hidden, 64);
  assert.ok(seen.length <= 2);
  seen.length = 0;
  await open(new URL(`${base}m.gguf`), cache);
  await open(`${base}m.gguf`, cache, { offline: true });
  assert.is(seen.length, 0);
});

test("pull looks whether a file has changed on its server, and brings the new one", async () => {
  const files = { "m.gguf": mini("llama-mini-q8_0.gguf") };
  const { base } = await serve(serving(files));
  const env = { HF_HUB_CACHE: freshCache() };
  const pull = async () => JSON.parse((await runFake(["pull", `${base}m.gguf`, "--json"], { env })).stdout).files[0];
  const first = await pull();
  assert.is((await pull()).fetchedBytes, 0);
  files["m.gguf"] = mini("llama-mini-q4_0.gguf");
  const second = await pull();
  assert.is(second.fetchedBytes, second.size);
  assert.is.not(second.sha256, first.sha256);
  assert.equal(new Uint8Array(readFileSync(second.path)), files["m.gguf"]);
});

test("URLs are listed and removed by their address", async () => {
  const { base } = await serve(
    serving({ "a.gguf": mini("llama-mini-q8_0.gguf"), "b.gguf": mini("llama-mini-q4_0.gguf") }),
  );
  const env = { HF_HUB_CACHE: freshCache() };
  for (const name of ["a", "b"]) assert.is((await runFake(["pull", `${base}${name}.gguf`], { env })).code, 0);
  const listed = async () =>
    JSON.parse((await runFake(["list", "--json"], { env })).stdout).map(
      (file: { repository: string }) => file.repository,
    );
  assert.equal(await listed(), [`${base}a.gguf`, `${base}b.gguf`]);
  assert.is((await runFake(["remove", `${base}a.gguf`], { env })).code, 0);
  assert.equal(await listed(), [`${base}b.gguf`]);
  assert.is((await runFake(["remove", `${base}a.gguf`], { env })).code, 2);
});

test("a folder behind a URL is read where it is, as before", async () => {
  const names = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"];
  const { base } = await serve(serving(Object.fromEntries(names.map((name) => [name, mini(`hf-bf16/${name}`)]))));
  for (const url of [base, `${base}model.safetensors`])
    assert.is((await open(url, freshCache())).container, "safetensors");
});

test("a cache can be left out for URLs", async () => {
  const { base, seen } = await serve(serving({ "m.gguf": mini("llama-mini-q8_0.gguf") }));
  const cache = freshCache();
  for (let i = 0; i < 2; i++) {
    seen.length = 0;
    await open(`${base}m.gguf`, cache, { cacheUrls: false });
    assert.ok(seen.length > 0);
  }
});

test("what is not a model is said as before, and not kept", async () => {
  const { base } = await serve((_, response) => void response.end("<html>hello</html>"));
  const env = { HF_HUB_CACHE: freshCache() };
  const { code, stderr } = await runFake(["pull", `${base}m.gguf`], { env });
  assert.is(code, 2);
  assert.match(stderr, /^deltallm: This is not a GGUF file[^\n]*\n$/);
  assert.is(JSON.parse((await runFake(["list", "--json"], { env })).stdout).length, 0);
});

test.after(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

test.run();
