import type { Test } from "uvu";
import * as assert from "uvu/assert";
import type { ModelCache } from "#src/hub/cache.js";

const KEY = "models--o--r";
const COMMIT = "c".repeat(40);
const OID = "a".repeat(64);
const OTHER = "b".repeat(64);
const bytes = (length: number, start = 0) => Uint8Array.from({ length }, (_, i) => (start + i) & 255);

async function put(cache: ModelCache, oid: string, content: Uint8Array, key = KEY): Promise<void> {
  const partial = await cache.partial(key, oid);
  await partial.append(content);
  await partial.finish(oid);
}

/** What every cache promises. `make` gives an empty one. */
export function conformance(test: Test, kind: string, make: () => Promise<ModelCache>): void {
  const each = (what: string, run: (cache: ModelCache) => Promise<void>) =>
    test(`${kind}: ${what}`, async () => run(await make()));

  each("an empty cache has nothing, and says so without an error", async (cache) => {
    assert.is(await cache.readRef(KEY, "main"), undefined);
    assert.is(await cache.readNote(KEY, "n"), undefined);
    assert.is(await cache.blobSize(KEY, OID), undefined);
    assert.is(await cache.openBlob(KEY, OID), undefined);
    assert.is(await cache.open(KEY, COMMIT, "f"), undefined);
    assert.equal(await cache.files(KEY, COMMIT), []);
    assert.equal(await cache.list(), []);
    assert.is(await cache.remove(KEY), 0);
    await cache.removeBlob(KEY, OID);
    await cache.writeNote(KEY, "n", undefined);
  });

  each("references and notes are what was written last", async (cache) => {
    await cache.writeRef(KEY, "main", COMMIT);
    await cache.writeRef(KEY, "refs/pr/1", "d".repeat(40));
    await cache.writeRef(KEY, "main", "e".repeat(40));
    assert.is(await cache.readRef(KEY, "main"), "e".repeat(40));
    assert.is(await cache.readRef(KEY, "refs/pr/1"), "d".repeat(40));
    await cache.writeNote(KEY, "n", "one");
    await cache.writeNote(KEY, "n", "two");
    assert.is(await cache.readNote(KEY, "n"), "two");
    await cache.writeNote(KEY, "n", undefined);
    assert.is(await cache.readNote(KEY, "n"), undefined);
  });

  each("what is being written is no blob until it is finished, and is gone on with", async (cache) => {
    const first = await cache.partial(KEY, OID);
    assert.is(first.size, 0);
    await first.append(bytes(1000));
    await first.append(bytes(500, 7));
    assert.equal(await first.read(900, 200), new Uint8Array([...bytes(1000), ...bytes(500, 7)].slice(900, 1100)));
    await first.close();
    assert.is(await cache.blobSize(KEY, OID), undefined);
    assert.is(await cache.openBlob(KEY, OID), undefined);
    assert.equal([...((await cache.list())[0]?.partials ?? [])], [[OID, 1500]]);
    const second = await cache.partial(KEY, OID);
    assert.is(second.size, 1500);
    await second.truncate(1000);
    await second.append(bytes(10));
    assert.is(second.size, 1010);
    await second.finish(OID);
    assert.is(await cache.blobSize(KEY, OID), 1010);
    const source = await cache.openBlob(KEY, OID);
    assert.equal(await source?.read(995, 10), new Uint8Array([...bytes(1000), ...bytes(10)].slice(995, 1005)));
    await source?.close?.();
    assert.is((await cache.list())[0]?.partials.size ?? 0, 0);
  });

  each("content may get another name than the one it was written under", async (cache) => {
    const partial = await cache.partial(KEY, "url-1");
    await partial.append(bytes(10));
    await partial.finish(OID);
    assert.is(await cache.blobSize(KEY, OID), 10);
    assert.is(await cache.blobSize(KEY, "url-1"), undefined);
    const other = await cache.partial(KEY, "url-2");
    assert.is(other.size, 0);
    await other.close();
  });

  each("a file of a commit opens by its path, and only when its content is there", async (cache) => {
    await put(cache, OID, bytes(100));
    await cache.link(KEY, COMMIT, "sub/f.gguf", OID);
    await cache.link(KEY, COMMIT, "gone", OTHER);
    await cache.link(KEY, COMMIT, "sub/f.gguf", OID);
    const files = await cache.files(KEY, COMMIT);
    assert.equal(
      files.map(({ path, size, oid }) => [path, size, oid]),
      [["sub/f.gguf", 100, OID]],
    );
    const source = await cache.open(KEY, COMMIT, "sub/f.gguf");
    assert.is(source?.size, 100);
    assert.equal(await source?.read(0, 100), bytes(100));
    await source?.close?.();
    assert.is(await cache.open(KEY, COMMIT, "gone"), undefined);
    assert.match(cache.location(KEY, COMMIT, "sub/f.gguf"), /sub\/f\.gguf$/);
  });

  each("paths that lead away are refused", async (cache) => {
    await put(cache, OID, bytes(1));
    for (const path of ["../x", "/x", "a/../../x", "", "a\\b"]) {
      const error = await cache.link(KEY, COMMIT, path, OID).then(
        () => undefined,
        (thrown) => thrown,
      );
      assert.instance(error, Error, path);
    }
  });

  each("a lock has one holder, the next one comes after it, and waiting can be given up", async (cache) => {
    const order: string[] = [];
    const unlock = await cache.lock(KEY, OID, {});
    const second = cache.lock(KEY, OID, { onWait: () => order.push("waits") }).then(async (release) => {
      order.push("second");
      await release();
    });
    const controller = new AbortController();
    const third = cache.lock(KEY, OID, { signal: controller.signal }).catch((error) => error);
    const free = await cache.lock(KEY, OTHER, {});
    await free();
    await new Promise((resolve) => setTimeout(resolve, 50));
    const reason = new Error("enough");
    controller.abort(reason);
    assert.is(await third, reason);
    order.push("first is done");
    await unlock();
    await second;
    assert.equal(order, ["waits", "first is done", "second"]);
  });

  each("the list has repositories, commits, references and what was begun", async (cache) => {
    await put(cache, OID, bytes(100));
    await cache.link(KEY, COMMIT, "f", OID);
    await cache.writeRef(KEY, "main", COMMIT);
    const begun = await cache.partial("models--x--y", OTHER);
    await begun.append(bytes(5));
    await begun.close();
    const [first, second] = await cache.list();
    assert.is(first?.key, KEY);
    assert.equal([...(first?.refs ?? [])], [["main", COMMIT]]);
    assert.equal(
      first?.commits.get(COMMIT)?.map(({ path }) => path),
      ["f"],
    );
    assert.is(second?.key, "models--x--y");
    assert.equal([...(second?.partials ?? [])], [[OTHER, 5]]);
  });

  each("removing a file takes its content along unless something else uses it", async (cache) => {
    await put(cache, OID, bytes(100));
    await put(cache, OTHER, bytes(50));
    await cache.link(KEY, COMMIT, "a", OID);
    await cache.link(KEY, COMMIT, "same", OID);
    await cache.link(KEY, COMMIT, "b", OTHER);
    await cache.writeRef(KEY, "main", COMMIT);
    assert.is(await cache.remove(KEY, { files: [{ commit: COMMIT, path: "a" }], partials: [] }), 0);
    assert.is(await cache.blobSize(KEY, OID), 100);
    assert.is(await cache.remove(KEY, { files: [{ commit: COMMIT, path: "same" }], partials: [] }), 100);
    assert.is(await cache.blobSize(KEY, OID), undefined);
    assert.is(await cache.readRef(KEY, "main"), COMMIT);
    assert.is(await cache.remove(KEY, { files: [{ commit: COMMIT, path: "b" }], partials: [] }), 50);
    assert.equal(await cache.list(), []);
  });

  each("removing a repository leaves the others", async (cache) => {
    await put(cache, OID, bytes(100));
    await cache.link(KEY, COMMIT, "a", OID);
    await put(cache, OTHER, bytes(7), "models--x--y");
    await cache.link("models--x--y", COMMIT, "a", OTHER);
    assert.is(await cache.remove(KEY), 100);
    assert.equal(
      (await cache.list()).map(({ key }) => key),
      ["models--x--y"],
    );
    const source = await cache.open("models--x--y", COMMIT, "a");
    assert.is(source?.size, 7);
    await source?.close?.();
  });

  each("what was begun is removed by its name", async (cache) => {
    const begun = await cache.partial(KEY, OTHER);
    await begun.append(bytes(5));
    await begun.close();
    assert.is(await cache.remove(KEY, { files: [], partials: [OTHER] }), 5);
    const again = await cache.partial(KEY, OTHER);
    assert.is(again.size, 0);
    await again.close();
  });
}
