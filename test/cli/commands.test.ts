import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { runFake } from "../helpers/cli.js";

const test = suite("commands");
const folder = mkdtempSync(join(tmpdir(), "deltallm-cli-"));
test.after(() => rmSync(folder, { recursive: true }));
const written = "Once upon a time,!";

test("chat takes one message per line of stdin", async () => {
  const { code, stdout, asked } = await runFake(["chat", "--system", "Be brief."], { stdin: "Hi\n\nHow are you?\n" });
  assert.is(code, 0);
  assert.is(asked.system, "Be brief.");
  assert.equal(asked.messages, ["Hi", "How are you?"]);
  assert.is(stdout, `${written}\n\n${written}\n\n`);
});

test("chat --json writes one object per answer", async () => {
  const { stdout } = await runFake(["chat", "--json"], { stdin: "a\nb" });
  const answers = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.equal(
    answers.map(({ text, tokens }) => [text, tokens.length]),
    [
      [written, 6],
      [written, 6],
    ],
  );
});

test("tokenize takes text, a file or stdin", async () => {
  const file = join(folder, "text.txt");
  writeFileSync(file, "ab");
  assert.is((await runFake(["tokenize", "--text", "abA", "--json"])).stdout, "[6,0,0]\n");
  assert.is((await runFake(["tokenize", "--text", "abA", "--no-special"])).stdout, "6 0 2\n");
  assert.is((await runFake(["tokenize", "--file", file, "--json"])).stdout, "[6,0]\n");
  assert.is((await runFake(["tokenize", "--json"], { stdin: "b\n" })).stdout, "[0,3]\n");
  assert.is((await runFake(["tokenize", "--text", "", "--json"])).stdout, "[]\n");
  assert.is((await runFake(["tokenize", "--text", "a", "--file", file])).code, 2);
  assert.is((await runFake(["tokenize", "--file", join(folder, "none")])).code, 2);
});

test("logits writes all rows, in pieces", async () => {
  const out = join(folder, "logits.f32");
  const ids = Array.from({ length: 40 }, (_, i) => i % 7);
  const { code, asked } = await runFake(["logits", "--ids", ids.join(","), "--out", out]);
  assert.is(code, 0);
  assert.equal(asked.prefills, [32, 8]);
  assert.is(asked.load?.contextLength, 40);
  const bytes = readFileSync(out);
  assert.is(bytes.length, 40 * 7 * 4);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  assert.is(view.getFloat32(0, true), 10);
  assert.is(view.getFloat32((39 * 7 + 6) * 4, true), 406);
  assert.is((await runFake(["logits", "--ids", "1,x", "--out", out])).code, 2);
  assert.is((await runFake(["logits", "--ids", "1"])).code, 2);
  assert.is((await runFake(["logits", "--ids", "1", "--out", join(folder, "no/such/folder")])).code, 2);
});

test("logits and calibrate leave what was there when something fails, and write through links, pipes and devices", async () => {
  const out = join(folder, "kept.f32");
  writeFileSync(out, "old");
  assert.is((await runFake(["logits", "--ids", "1,999", "--out", out])).code, 2);
  assert.is(readFileSync(out, "utf8"), "old");
  const nowhere = await runFake(["logits", "--ids", "1", "--out", join(folder, "none", "x")]);
  assert.is(nowhere.code, 2);
  assert.match(nowhere.stderr, /There is no such folder.*none.*Make it first/);
  const link = join(folder, "link.f32");
  symlinkSync(out, link);
  assert.is((await runFake(["logits", "--ids", "1,2", "--out", link])).code, 0);
  assert.ok(lstatSync(link).isSymbolicLink());
  assert.is(readFileSync(out).length, 2 * 7 * 4);
  assert.equal(
    readdirSync(folder).filter((name) => name.endsWith(".part")),
    [],
  );
  if (!existsSync("/dev/full")) return;
  const full = await runFake(["logits", "--ids", "1", "--out", "/dev/full"]);
  assert.is(full.code, 2);
  assert.match(full.stderr, /cannot be written: the disk is full \(\/dev\/full\)/);
  assert.is((await runFake(["logits", "--ids", "1", "--out", "/dev/null"])).code, 0);
  assert.ok(lstatSync("/dev/null").isCharacterDevice());
});

test("tokenize takes its text as an argument, and shows the pieces on a terminal", async () => {
  assert.is((await runFake(["tokenize", "abA", "--json"])).stdout, "[6,0,0]\n");
  assert.is((await runFake(["tokenize", "a", "--text", "b"])).code, 2);
  assert.match((await runFake(["tokenize", "ab"], { stdoutTTY: true })).stdout, /^ *6 {2}".*"\n[\s\S]*2 tokens/);
});

test("chat says that the story model follows no instructions, unless a model is named", async () => {
  assert.match((await runFake(["chat"], { stdin: "Hi\n" })).stderr, /story model.*-m names a model/);
  assert.is((await runFake(["chat", "-m", "m.gguf"], { stdin: "Hi\n" })).stderr, "");
});

test("chat --json is brief, and its speeds are those of the turn", async () => {
  const { stdout } = await runFake(["chat", "--json", "-m", "m.gguf"], { stdin: "a\nb\n" });
  const lines = stdout.trim().split("\n");
  for (const line of lines) {
    assert.ok(line.length < 1500, `${line.length} characters`);
    assert.is(JSON.parse(line).stats.attention.heads, undefined);
  }
});

test("score cuts windows that do not overlap and leaves the first token of each out", async () => {
  const file = join(folder, "score.txt");
  writeFileSync(file, "x".repeat(25));
  const { stdout, asked } = await runFake(["score", "--file", file, "--ctx", "10", "--json"]);
  assert.equal(asked.windows, [10, 10, 5]);
  const { tokens, nll, perplexity, attention } = JSON.parse(stdout);
  assert.is(tokens, 9 + 9 + 4);
  assert.is(nll, 0.5);
  assert.is(perplexity, Math.exp(0.5));
  assert.is(attention.kind, "full");
  assert.is(asked.load?.contextLength, 10);
  assert.equal((await runFake(["score", "--file", file, "--ctx", "10", "--windows", "2"])).asked.windows, [10, 10]);
  // One token left over cannot be scored.
  assert.equal((await runFake(["score", "--file", file, "--ctx", "12"])).asked.windows, [12, 12]);
  assert.is((await runFake(["score"], { stdin: "x" })).code, 2);
});

test("verify prints a hash and compares it", async () => {
  const { code, stdout, asked } = await runFake(["verify", "--json"]);
  assert.is(code, 0);
  const { hash, equal, kernel, threads, settings } = JSON.parse(stdout);
  assert.match(hash, /^[0-9a-f]{64}$/);
  assert.is(equal, null);
  assert.equal([kernel, threads, settings], ["simd", 2, "default"]);
  assert.is(asked.steps.length, 16);
  assert.is((await runFake(["verify", "--expect", hash])).code, 0);
  const other = await runFake(["verify", "--expect", "0".repeat(64)]);
  assert.is(other.code, 1);
  assert.match(other.stderr, "NOT");
});

test("inspect shows tensors, totals and notes", async () => {
  const summary = await runFake(["inspect", "fake.gguf"]);
  assert.ok(summary.stdout.indexOf("bits per value") < summary.stdout.indexOf("Metadata"));
  assert.not.match(summary.stdout, "[4, 128]");
  const { stdout, code } = await runFake(["inspect", "fake.gguf", "--tensors"]);
  assert.is(code, 0);
  for (const part of ["something was overridden", "I2_S (block128)", "[4, 128]", "2.50 bits per value", '6 " end"'])
    assert.match(stdout, part);
  const json = JSON.parse((await runFake(["inspect", "-m", "fake.gguf", "--json"])).stdout);
  assert.equal(
    json.totals.map(({ type, bytes }: { type: string; bytes: number }) => [type, bytes]),
    [
      ["I2_S", 160],
      ["F16", 56],
    ],
  );
  assert.is(json.metadata.big, 12);
  assert.is(json.tensors.length, 2);
});

test("bench measures prefill and decode after a context", async () => {
  const line = "bench --shape bitnet-2b -p 20 -n 4 -d 100 --threads 2 --json";
  const { stdout, asked } = await runFake(line.split(" "));
  const result = JSON.parse(stdout);
  assert.is(asked.source, "random:bitnet-2b");
  assert.is(asked.load?.contextLength, 124);
  assert.equal(asked.prefills.slice(1), [100, 20]);
  assert.is(result.prefill.tokens, 20);
  assert.is(result.decode.tokens, 4);
  assert.is(result.memoryBytes, 5e6);
  assert.equal([result.kernel, result.threads], ["simd", 2]);
  assert.is((await runFake(["bench", "-p", "0", "-n", "0"])).code, 2);
  assert.is((await runFake(["bench", "--shape", "gpt-9"])).code, 2);
});

test.run();
