import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openModelSource } from "#src/load-engine.js";
import { runFake } from "../helpers/cli.js";
import { fixture } from "../helpers/fixtures.js";
import { MockHub } from "../helpers/mock-hub.js";

const mini = (name: string) => new Uint8Array(readFileSync(fixture("golden", "llama-mini", name)));
const folders: string[] = [];
let hub: MockHub;

test.before(async () => {
  hub = await MockHub.start();
});
test.before.each(() => {
  hub.seen.length = 0;
  hub.fault = undefined;
  hub.apiFault = undefined;
  hub.token = undefined;
  hub.redirect = false;
});
test.after(async () => {
  await hub.close();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function freshCache(): string {
  folders.push(mkdtempSync(join(tmpdir(), "deltallm-hub-")));
  return folders.at(-1) as string;
}

/** Runs a command line with a cache of its own. */
function run(cache: string, ...args: string[]) {
  return runFake(args, {
    env: { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cache, ...(hub.token && { HF_TOKEN: hub.token }) },
  });
}

const quants = () => ({
  "README.md": "a model",
  "mini-F16.gguf": mini("llama-mini-f16.gguf"),
  "mini-Q8_0.gguf": mini("llama-mini-q8_0.gguf"),
  "mini-Q4_0.gguf": mini("llama-mini-q4_0.gguf"),
});

test("pull names commit, hash and path of every file, in the layout that all programs of the hub share", async () => {
  const commit = hub.commit("me/mini-GGUF", quants());
  const cache = freshCache();
  const { code, stdout, stderr } = await run(cache, "pull", "hf:me/mini-GGUF", "--json");
  assert.is(code, 0, stderr);
  const answer = JSON.parse(stdout);
  assert.is(answer.commit, commit);
  assert.is(answer.files.length, 1);
  const [{ file, path, sha256, size, fetchedBytes }] = answer.files;
  assert.is(file, "mini-Q8_0.gguf");
  assert.is(fetchedBytes, size);
  assert.equal(new Uint8Array(readFileSync(path)), quants()["mini-Q8_0.gguf"]);
  const repository = join(cache, "models--me--mini-GGUF");
  assert.is(path, join(repository, "snapshots", commit, file));
  assert.is(readlinkSync(path), `../../blobs/${sha256}`);
  assert.is(readFileSync(join(repository, "refs/main"), "utf8"), commit);
  assert.equal(readdirSync(join(repository, "blobs")), [sha256]);
});

test("a second run asks nobody; pull asks which commit is newest and downloads nothing", async () => {
  hub.commit("me/mini-GGUF", quants());
  const cache = freshCache();
  const options = { hub: { endpoint: hub.endpoint, cacheFolder: cache } };
  await (await openModelSource("hf:me/mini-GGUF:Q4_0", options)).close();
  assert.ok(hub.seen.length > 0);
  hub.seen.length = 0;
  const file = await openModelSource("hf:me/mini-GGUF:Q4_0", options);
  assert.is(file.config.hidden, 64);
  await file.close();
  assert.is(hub.seen.length, 0);
  assert.is((await run(cache, "pull", "hf:me/mini-GGUF:Q4_0")).code, 0);
  assert.is(hub.fileRequests.length, 0);
});

test("a safetensors folder opens by its name, and the files in git are checked too", async () => {
  const names = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"];
  const folder = Object.fromEntries(names.map((name) => [name, mini(join("hf-bf16", name))]));
  hub.commit("me/mini", { ...folder, "pytorch_model.bin": "x" });
  const file = await openModelSource("hf:me/mini", { hub: { endpoint: hub.endpoint, cacheFolder: freshCache() } });
  assert.is(file.container, "safetensors");
  assert.is(file.config.hidden, 64);
  await file.close();
});

test("the token goes to the hub and not to where the hub redirects", async () => {
  hub.commit("me/private", quants());
  hub.token = "hf_secret";
  hub.redirect = true;
  const { code, stdout, stderr } = await run(freshCache(), "pull", "hf:me/private:F16");
  assert.is(code, 0, stderr);
  assert.not.match(stdout + stderr, /hf_secret/);
  assert.ok(hub.seen.some(({ at }) => at === "cdn"));
  for (const { at, authorization } of hub.seen) assert.is(authorization, at === "hub" ? "Bearer hf_secret" : undefined);
});

test("offline the cache answers, and what it lacks is said in one line", async () => {
  hub.commit("me/mini-GGUF", quants());
  const cache = freshCache();
  await run(cache, "pull", "hf:me/mini-GGUF:Q4_0");
  hub.seen.length = 0;
  const options = { hub: { endpoint: hub.endpoint, cacheFolder: cache, offline: true } };
  await (await openModelSource("hf:me/mini-GGUF:Q4_0", options)).close();
  await (await openModelSource("hf:me/mini-GGUF", options)).close();
  const missing = await run(cache, "generate", "-m", "hf:me/mini-GGUF:F16", "--offline", "x");
  assert.is(missing.code, 2);
  assert.match(missing.stderr, /^deltallm: [^\n]*\n$/);
  const other = await run(cache, "generate", "-m", "hf:me/other", "--offline", "x");
  assert.is(other.code, 2);
  assert.match(other.stderr, /^deltallm: [^\n]*offline[^\n]*\n$/);
  assert.is(hub.seen.length, 0);
});

test("a model that cannot fit is refused before its download, with figures and choices", async () => {
  const sha = "1".repeat(40);
  hub.apiFault = (path, _, response) => {
    const file = (name: string, size: number) => {
      const oid = "a".repeat(64);
      return { type: "file", path: name, size, oid: sha, lfs: { oid, size } };
    };
    const tree = [
      file("m-Q8_0.gguf", 7e9),
      file("n/a-Q4_K_M-00001-of-00002.gguf", 3e9),
      file("n/a-Q4_K_M-00002-of-00002.gguf", 3e9),
    ];
    response.end(JSON.stringify(path.includes("/tree/") ? tree : { sha }));
    return true;
  };
  for (const [name, size] of [
    ["hf:me/large:Q8_0", "7.00 GB"],
    ["hf:me/large:Q4_K_M", "6.00 GB"],
  ] as const)
    for (const command of [
      ["pull", name],
      ["generate", "-m", name, "--yes", "x"],
    ]) {
      const { code, stderr } = await run(freshCache(), ...command);
      assert.is(code, 3);
      assert.match(
        stderr,
        new RegExp(`^deltallm: This model does not fit[^\n]*${size}[^\n]*4\\.29 GB[^\n]*smaller quantisation[^\n]*\n$`),
      );
    }
  assert.is(hub.fileRequests.length, 0);
});

test("a context that cannot fit is refused before the first weight", async () => {
  const { checkFits } = await import("#src/model/fits.js");
  const file = await openModelSource(fixture("golden", "llama-mini", "llama-mini-f16.gguf"));
  checkFits(file, { contextLength: 100_000 });
  assert.throws(
    () => checkFits(file, { contextLength: 1e9, kvCache: "f32" }),
    (error: Error) =>
      error.name === "MemoryError" &&
      /keys and values of 1000000000 tokens.*shorter context.*8 bits/.test(error.message),
  );
  await file.close();
});

test("remove takes exactly what the name says", async () => {
  hub.commit("me/mini-GGUF", quants());
  const cache = freshCache();
  for (const quant of ["Q4_0", "Q8_0", "F16"]) await run(cache, "pull", `hf:me/mini-GGUF:${quant}`);
  const listed = async () =>
    JSON.parse((await run(cache, "list", "--json")).stdout).map(({ file }: { file: string }) => file);
  assert.equal(await listed(), ["mini-F16.gguf", "mini-Q4_0.gguf", "mini-Q8_0.gguf"]);
  assert.is((await run(cache, "remove", "hf:me/mini-GGUF:Q8_0")).code, 0);
  assert.equal(await listed(), ["mini-F16.gguf", "mini-Q4_0.gguf"]);
  assert.is(readdirSync(join(cache, "models--me--mini-GGUF/blobs")).length, 2);
  assert.is((await run(cache, "remove", "hf:me/mini-GGUF:Q8_0")).code, 2);
  assert.is((await run(cache, "remove", "hf:me/mini-GGUF/mini-F16.gguf")).code, 0);
  assert.equal(await listed(), ["mini-Q4_0.gguf"]);
  assert.is((await run(cache, "remove", "hf:me/mini-GGUF")).code, 0);
  assert.not(existsSync(join(cache, "models--me--mini-GGUF")));
  assert.is((await run(cache, "remove", "hf:me/mini-GGUF")).code, 2);
});

test.run();
