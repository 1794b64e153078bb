import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { killAndPull } from "../helpers/kill-and-pull.js";
import { MockHub } from "../helpers/mock-hub.js";
import { startCommand, testBytes } from "../helpers/pull-process.js";

const folders: string[] = [];
const content = testBytes(4_000_000);
const sha256 = createHash("sha256").update(content).digest("hex");
let hub: MockHub;

test.before(async () => {
  hub = await MockHub.start();
  hub.commit("me/big", { "m.gguf": content });
});
test.before.each(() => {
  hub.seen.length = 0;
  hub.fault = undefined;
});
test.after(async () => {
  await hub.close();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function setting(): { cache: string; env: Record<string, string>; blobs: string } {
  const cache = mkdtempSync(join(tmpdir(), "deltallm-hub-"));
  folders.push(cache);
  const env = { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cache };
  return { cache, env, blobs: join(cache, "models--me--big/blobs") };
}

test("two processes that pull the same file download it once, and both have it", async () => {
  const { env, blobs } = setting();
  hub.fault = ({ send }) => {
    send({ drip: { bytes: 100_000, ms: 20 } });
    return true;
  };
  const runs = [1, 2].map(() => startCommand(["pull", "hf:me/big", "--json"], env).ended);
  const fetched: number[] = [];
  for (const { code, stdout, stderr } of await Promise.all(runs)) {
    assert.is(code, 0, stderr);
    const [file] = JSON.parse(stdout).files;
    assert.is(file.sha256, sha256);
    fetched.push(file.fetchedBytes);
  }
  assert.equal(readdirSync(blobs), [sha256]);
  // Bytes, not requests: on a busy machine the download may look slow and get a second connection.
  assert.equal(
    fetched.sort((a, b) => a - b),
    [0, content.length],
  );
});

test("a process that is killed leaves no wrong file, and the next one goes on", async () => {
  await killAndPull(hub, 6, setting().cache);
});

test("the lock of a process that died, here or elsewhere, does not hold for ever", async () => {
  const { cache, env } = setting();
  const locks = join(cache, ".locks/models--me--big");
  await mkdir(locks, { recursive: true });
  // A number that no process has: the largest one of Linux and more.
  writeFileSync(join(locks, `${sha256}.deltallm`), JSON.stringify({ id: "x", pid: 2 ** 22 + 7, host: hostname() }));
  const started = Date.now();
  const { code, stderr } = await startCommand(["pull", "hf:me/big"], env).ended;
  assert.is(code, 0, stderr);
  assert.ok(Date.now() - started < 12_000);
  assert.equal(readdirSync(locks), []);
});

test("a full disk is one line and exit code 3; what fits stays, and is gone on with", async () => {
  const { env, blobs } = setting();
  // Blocks of 512 bytes in some shells, of 1024 in others.
  const { code, stderr } = await startCommand(["pull", "hf:me/big"], env, "ulimit -f 2000;").ended;
  assert.is(code, 3, stderr);
  assert.match(stderr, /^deltallm: [^\n]*\n$/);
  assert.equal(readdirSync(blobs), [`${sha256}.incomplete`]);
  const again = await startCommand(["pull", "hf:me/big", "--json"], env).ended;
  assert.is(again.code, 0, again.stderr);
  assert.ok(JSON.parse(again.stdout).files[0].resumedBytes > 500_000);
});

test("a cache that cannot be written is one line and exit code 3", async () => {
  const { cache, env } = setting();
  writeFileSync(join(cache, "file"), "");
  const { code, stderr } = await startCommand(["pull", "hf:me/big"], { ...env, HF_HUB_CACHE: join(cache, "file/x") })
    .ended;
  assert.is(code, 3);
  assert.match(stderr, /^deltallm: [^\n]*\n$/);
});

test("a list marks what is not complete, and remove takes it", async () => {
  const { cache, env } = setting();
  hub.fault = ({ send, request }) => {
    if (request.headers.range) request.socket.destroy();
    else send({ cutAfter: 1_500_000 });
    return true;
  };
  const failed = await startCommand(["pull", "hf:me/big"], env).ended;
  assert.is(failed.code, 3);
  assert.match(failed.stderr, /^deltallm: [^\n]*\n$/);
  const { stdout } = await startCommand(["list", "--json"], env).ended;
  const [{ repository, file, size, totalSize, partial }] = JSON.parse(stdout);
  assert.equal(
    { repository, file, totalSize, partial },
    {
      repository: "me/big",
      file: "m.gguf",
      totalSize: content.length,
      partial: true,
    },
  );
  assert.ok(size > 0 && size <= 1_500_000);
  assert.is((await startCommand(["remove", "hf:me/big/m.gguf"], env).ended).code, 0);
  assert.not(existsSync(join(cache, "models--me--big")));
});

test("the catalogue, and a name that is none, need no network", async () => {
  const { env } = setting();
  const { stdout } = await startCommand(["list", "--names"], env).ended;
  assert.match(stdout, /^smollm2-135m /m);
  const { code, stderr } = await startCommand(["pull", "./model.gguf"], env).ended;
  assert.is(code, 2);
  assert.match(stderr, /^deltallm: [^\n]*hf:owner[^\n]*\n$/);
});

test("nothing but the file is left of a pull", async () => {
  const { cache, env } = setting();
  await startCommand(["pull", "hf:me/big"], env).ended;
  const all = readdirSync(cache, { recursive: true, withFileTypes: true }).filter((entry) => !entry.isDirectory());
  assert.equal(
    all.map(({ name }) => name.replace(/^[0-9a-f]{40}\./, "COMMIT.")).sort(),
    ["COMMIT.tree.json", "commits", "m.gguf", "main", sha256].sort(),
  );
  assert.equal(new Uint8Array(readFileSync(join(cache, "models--me--big/blobs", sha256))), content);
});

test.run();
