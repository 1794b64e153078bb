import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DownloadError } from "#src/errors.js";
import { fileCache } from "#src/hub/cache-files.js";
import { memoryCache } from "#src/hub/cache-memory.js";
import { OpfsCache } from "#src/hub/cache-opfs.js";
import { portableHash, startHash } from "#src/hub/hash.js";
import { FakeFolder, fakeNavigator } from "../helpers/fake-opfs.js";
import { conformance } from "./cache-conformance.js";

const folders: string[] = [];

fakeNavigator();
conformance(test, "memory", async () => memoryCache());
conformance(test, "files", async () => {
  folders.push(mkdtempSync(join(tmpdir(), "deltallm-hub-")));
  return fileCache(`${folders.at(-1)}/not/there/yet`);
});
conformance(test, "OPFS", async () => new OpfsCache(new FakeFolder()));

test("OPFS: an index that was cut off while it was written gives way to the one before", async () => {
  const folder = new FakeFolder();
  const cache = new OpfsCache(folder);
  await cache.writeRef("models--o--r", "main", "one");
  await cache.writeRef("models--o--r", "main", "two");
  folder.files.set("index-0.json", (folder.files.get("index-0.json") as Uint8Array).subarray(0, 20));
  assert.is(await cache.readRef("models--o--r", "main"), "one");
  await cache.writeRef("models--o--r", "main", "three");
  assert.is(await cache.readRef("models--o--r", "main"), "three");
});

test("OPFS: no room is an error that says what to do, and what was written is kept", async () => {
  const folder = new FakeFolder();
  folder.quota = 1500;
  const partial = await new OpfsCache(folder).partial("models--o--r", "a");
  await partial.append(new Uint8Array(1000));
  const error = await partial.append(new Uint8Array(1000)).then(
    () => undefined,
    (thrown) => thrown,
  );
  assert.instance(error, DownloadError);
  assert.match(error.message, /no more room.*Remove a model/);
  await partial.close();
  assert.is((await new OpfsCache(folder).partial("models--o--r", "a")).size, 1000);
});

test("the hash for browsers gives what the runtime's own gives", async () => {
  const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 31) & 255);
  for (const [kind, algorithm] of [
    [{ kind: "sha256" }, "sha256"],
    [{ kind: "git", size: bytes.length }, "sha1"],
  ] as const) {
    const own = await startHash(kind);
    const portable = await portableHash(algorithm);
    if (kind.kind === "git") portable.update(new TextEncoder().encode(`blob ${bytes.length}\0`));
    for (let at = 0; at < bytes.length; at += 12_345) {
      own.update(bytes.subarray(at, at + 12_345));
      portable.update(bytes.subarray(at, at + 12_345));
    }
    assert.is(portable.digest(), own.digest());
  }
});

test.after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

test.run();
