import { test } from "uvu";
import * as assert from "uvu/assert";
import { OptionError } from "#src/errors.js";
import { catalogue } from "#src/hub/catalogue.js";
import { parseName, showName } from "#src/hub/names.js";
import { safePath } from "#src/hub/paths.js";

const hub = (text: string, endpoint?: string) => {
  const name = parseName(text, endpoint);
  if (name?.kind !== "hub") throw new Error(`${text} is ${JSON.stringify(name)}`);
  const { repository, revision, quant, file } = name;
  return { repository, revision, quant, file };
};

test("a name says repository, quantisation or file, and revision", () => {
  const o = { repository: "o/r", revision: "main", quant: undefined, file: undefined };
  assert.equal(hub("hf:o/r"), o);
  assert.equal(hub("hf:o/r:Q4_K_M"), { ...o, quant: "Q4_K_M" });
  assert.equal(hub("hf:o/r:Q8_0@v1.0"), { ...o, quant: "Q8_0", revision: "v1.0" });
  assert.equal(hub("hf:o/r/sub/a.gguf@refs/pr/1"), { ...o, file: "sub/a.gguf", revision: "refs/pr/1" });
  assert.equal(hub("hf://o/r"), o);
  assert.equal(hub("huggingface:o/r"), o);
  assert.equal(hub("hf.co/o/r:Q4_0"), { ...o, quant: "Q4_0" });
  assert.equal(hub("o/r:Q4_0"), { ...o, quant: "Q4_0" });
  assert.equal(hub("o/r@dev"), { ...o, revision: "dev" });
  assert.equal(hub("https://huggingface.co/o/r"), o);
  assert.equal(hub("https://huggingface.co/o/r/tree/main"), o);
  assert.equal(hub("https://huggingface.co/o/r/resolve/dev/sub/a%20b.gguf?download=true"), {
    ...o,
    file: "sub/a b.gguf",
    revision: "dev",
  });
  assert.equal(hub("http://127.0.0.1:99/o/r/blob/main/a.gguf", "http://127.0.0.1:99"), { ...o, file: "a.gguf" });
});

test("short names come from the catalogue and take a quantisation and a revision", () => {
  for (const [name, entry] of Object.entries(catalogue)) assert.is(hub(name).repository, entry.repository);
  assert.equal(hub("SmolLM2-135M:Q8_0@abc"), {
    repository: catalogue["smollm2-135m"]?.repository,
    revision: "abc",
    quant: "Q8_0",
    file: undefined,
  });
});

test("paths and other addresses are no names of the hub", () => {
  for (const path of [
    "model.gguf",
    "./o/r",
    "/o/r",
    "../r",
    "o/r/s",
    "C:\\m\\r.gguf",
    "C:/m",
    "models/a.gguf",
    "o/",
    "",
    "embedded",
  ])
    assert.is(parseName(path), undefined, path);
  assert.equal(parseName("https://example.org/m.gguf"), {
    kind: "url",
    url: "https://example.org/m.gguf",
    text: "https://example.org/m.gguf",
  });
});

test("a name that is not complete, or leads out of the repository, is an error that shows the form", () => {
  for (const text of [
    "hf:",
    "hf:r",
    "hf:o/",
    "hf:o/r:",
    "hf:o/r:a b",
    "hf:o/r/../x",
    "hf:o/r/a/../../b",
    "hf:o/r@",
    "hf:o/r@../x",
    "hf:../r",
    "hf:o/a--b",
    "hf:o/r/a\\b",
    "hf:o/r/a\nb",
    "hf:o o/r",
  ])
    assert.throws(
      () => parseName(text),
      (error: unknown) => error instanceof OptionError && /hf:owner/.test(error.message),
      text,
    );
});

test("a shown name reads as the same name", () => {
  for (const text of ["hf:o/r", "hf:o/r:Q4_0", "hf:o/r/s/a.gguf@v1"]) assert.is(showName(hub2(text)), text);
});
const hub2 = (text: string) => parseName(text) as NonNullable<ReturnType<typeof parseName>>;

test("a path of a repository stays below its folder", () => {
  for (const path of ["a", "a/b.gguf", "a b", ".gitattributes", "a..b"]) assert.ok(safePath(path), path);
  for (const path of ["", "..", "a/..", "../a", "/a", "a//b", "a/", "a\\b", "C:a", "a\0", "a/./b", "con:stream"])
    assert.not(safePath(path), path);
});

test.run();
