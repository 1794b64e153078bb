import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, renameSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { SourceError } from "#src/errors.js";
import { openModel } from "#src/formats/open.js";
import { blobSource } from "#src/formats/sources/blob.js";
import { bytesSource } from "#src/formats/sources/bytes.js";
import { fileSource } from "#src/formats/sources/file.js";
import { loadModel } from "#src/index.js";
import { fixture } from "../helpers/fixtures.js";
import { content, rejection, sourceConformance } from "./source-conformance.js";

const folder = mkdtempSync(join(tmpdir(), "deltallm-sources-"));
let files = 0;

function write(bytes: Uint8Array): string {
  const path = join(folder, `file-${files++}`);
  writeFileSync(path, bytes);
  return path;
}

sourceConformance("bytes", async (bytes) => bytesSource(bytes));
sourceConformance("blob", async (bytes) => blobSource(new Blob([new Uint8Array(bytes)])));
sourceConformance("file", async (bytes) => fileSource(write(bytes), 0));
sourceConformance("file read at once", async (bytes) => fileSource(write(bytes)));

test("a missing file and a folder are SourceErrors that name the path", async () => {
  for (const path of [join(folder, "nothing"), folder]) {
    const error = await rejection(fileSource(path));
    assert.instance(error, SourceError);
    assert.ok(error.message.includes(path));
  }
});

test("a file cut while open is a short read, not zeros", async () => {
  const path = write(content);
  for (const wholeBytes of [0, undefined]) {
    const source = await fileSource(path, wholeBytes);
    truncateSync(path, 1000);
    assert.match((await rejection(source.read(500, 1000))).message, /Asked for 1000 bytes, got 500/);
    await source.close?.();
    writeFileSync(path, content);
  }
});

test("a pipe is refused at once, though nobody writes to it", async () => {
  if (process.platform === "win32") return;
  const path = join(folder, "pipe");
  execFileSync("mkfifo", [path]);
  for (const open of [fileSource, openModel])
    assert.match((await rejection(open(path) as Promise<unknown>)).message, /not a regular file/);
});

test("a file that is overwritten, or exchanged, while it is read is told from one that is not", async () => {
  const path = write(content);
  const source = await fileSource(path, 0);
  await source.read(0, 100);
  await source.unchanged?.();
  writeFileSync(`${path}.new`, content);
  renameSync(`${path}.new`, path);
  assert.match((await rejection(source.unchanged!())).message, /changed while it was read/);
  await source.close?.();
  const again = await fileSource(path, 0);
  writeFileSync(path, content);
  utimesSync(path, 1, 1);
  assert.match((await rejection(again.unchanged!())).message, /changed while it was read/);
  await again.close?.();
});

test("a model whose file changes while it loads is not loaded", async () => {
  const path = join(folder, "changes.gguf");
  copyFileSync(fixture("golden", "llama-mini", "llama-mini-q8_0.gguf"), path);
  const onProgress = ({ phase }: { phase: string }) => {
    if (phase === "weights") utimesSync(path, 1, 1);
  };
  assert.match((await rejection(loadModel(path, { onProgress, threads: 1 }))).message, /changed while it was read/);
});

test.after(() => rmSync(folder, { recursive: true }));

test.run();
