import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { SourceError } from "#src/errors.js";
import { blobSource } from "#src/formats/sources/blob.js";
import { bytesSource } from "#src/formats/sources/bytes.js";
import { fileSource } from "#src/formats/sources/file.js";
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

test.after(() => rmSync(folder, { recursive: true }));

test.run();
