import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadModel } from "#src/index.js";

// The built command line with the embedded model, as a process of its own.
const test = suite("process");
const folder = mkdtempSync(join(tmpdir(), "deltallm-process-"));
test.after(() => rmSync(folder, { recursive: true }));

interface Result {
  code: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
}

/** Options that make the story go on and on: nearly every token is equally likely. */
const endless = ["--temperature", "9", "--top-k", "0", "--top-p", "1", "--min-p", "0", "--seed", "1", "--threads", "1"];

function deltallm(args: string[], { input = "", afterOutput = (_kill: () => void, _close: () => void) => {} } = {}) {
  return new Promise<Result>((resolve) => {
    const child = spawn(process.execPath, ["dist/cli/main.js", ...args], { timeout: 60_000 });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      afterOutput(
        () => child.kill("SIGINT"),
        () => child.stdout.destroy(),
      );
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
    child.stdin.on("error", () => undefined).end(input);
  });
}

test("the same seed tells the same story, whatever the threads and kernels", async () => {
  const story = ["generate", "Once upon a time", "-n", "40", "--seed", "5", "--json"];
  const runs = await Promise.all([
    deltallm(story),
    deltallm([...story, "--threads", "1", "--kernel", "simd"]),
    deltallm([...story.slice(0, 1), ...story.slice(2)], { input: "Once upon a time\n" }),
  ]);
  const [first, ...others] = runs.map(({ code, stdout, stderr }) => {
    assert.is(code, 0, stderr);
    const { text, tokens } = JSON.parse(stdout);
    return { text, tokens };
  });
  assert.is(first!.tokens.length, 40);
  for (const other of others) assert.equal(other, first);
  const streamed = await deltallm(story.slice(0, -1));
  assert.is(streamed.stdout, `${first!.text}\n`);
});

test("Ctrl-C stops a generation: what is there is shown, exit code 130", async () => {
  const { code, stdout, stderr } = await deltallm(["generate", "Once", ...endless], { afterOutput: (kill) => kill() });
  assert.is(code, 130, stderr);
  assert.is(stderr, "");
  assert.ok(stdout.length > 1 && stdout.endsWith("\n"));
});

test("a signal that comes twice at once is one Ctrl-C", async () => {
  let times = 0;
  const afterOutput = (kill: () => void) => {
    if (times++ === 0) for (const _ of [1, 2]) kill();
  };
  const { code, stdout } = await deltallm(["generate", "Once", ...endless], { afterOutput });
  assert.is(code, 130);
  assert.ok(stdout.endsWith("\n"));
});

test("a closed pipe ends a generation quietly", async () => {
  const { code, stderr } = await deltallm(["generate", "Once", ...endless], { afterOutput: (_, close) => close() });
  assert.is(code, 0);
  assert.is(stderr, "");
});

test("logits writes what the library computes", async () => {
  const out = join(folder, "logits.f32");
  const ids = [4092, 500, 470, 258, 424];
  const { code, stderr } = await deltallm(["logits", "--ids", ids.join(","), "--out", out]);
  assert.is(code, 0, stderr);
  const model = await loadModel("embedded", { threads: 1 });
  const expected = await model.createSession().prefill(ids, { allLogits: true });
  const bytes = readFileSync(out);
  assert.equal(new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)), expected);
  await model.dispose();
});

test("score is the mean of the library's log-probabilities", async () => {
  const text = "Once upon a time, there was a little girl named Lily. She loved to play with her dolls.";
  const { code, stdout, stderr } = await deltallm(["score", "--ctx", "12", "--json"], { input: text });
  assert.is(code, 0, stderr);
  const { tokens, nll, perplexity, attention } = JSON.parse(stdout);
  const model = await loadModel("embedded", { threads: 1 });
  const ids = [...model.tokenizer.encode(text)];
  const logprobs: number[] = [];
  for (let at = 0; at + 1 < ids.length; at += 12) logprobs.push(...(await model.scoreWindow(ids.slice(at, at + 12))));
  await model.dispose();
  assert.is(tokens, logprobs.length);
  assert.is(nll, -logprobs.reduce((sum, value) => sum + value, 0) / tokens);
  assert.is(perplexity, Math.exp(nll));
  assert.ok(perplexity > 1 && perplexity < 10, `perplexity ${perplexity} of a story`);
  assert.is(attention.kind, "full");
});

test("verify gives one hash for all kernels, threads and chunks", async () => {
  const runs = await Promise.all(
    [[], ["--threads", "1"], ["--kernel", "simd"], ["--prefill-chunk", "7"]].map((more) =>
      deltallm(["verify", "--json", ...more]),
    ),
  );
  const hashes = runs.map(({ stdout, stderr, code }) => {
    assert.is(code, 0, stderr);
    return JSON.parse(stdout).hash;
  });
  assert.is(new Set(hashes).size, 1);
  const different = await deltallm(["verify", "--kv-cache", "f32", "--expect", hashes[0]]);
  assert.is(different.code, 1);
});

test("tokenize, inspect and bench work on the embedded model", async () => {
  const [ids, about, speed] = await Promise.all([
    deltallm(["tokenize", "--text", "Once upon a time", "--json"]),
    deltallm(["inspect", "--json"]),
    deltallm(["bench", "-p", "8", "-n", "2", "-d", "4", "--json"]),
  ]);
  assert.equal(JSON.parse(ids.stdout), [500, 470, 258, 424]);
  assert.is(JSON.parse(about.stdout).config.architecture, "bitnet");
  const { prefill, decode, memoryBytes } = JSON.parse(speed.stdout);
  assert.equal([prefill.tokens, decode.tokens], [8, 2]);
  assert.ok(prefill.tokensPerSecond > 0 && decode.ms > 0 && memoryBytes > 1e6);
});

test("a missing model is one line and exit code 2", async () => {
  const { code, stderr } = await deltallm(["generate", "p", "-m", join(folder, "none.gguf")]);
  assert.is(code, 2);
  assert.match(stderr, /^deltallm: There is no such file or folder \(.*none\.gguf\)\. Check the path\n$/);
});

test("without address space for a memory of WebAssembly the error is named, with what to do", () => {
  if (process.platform !== "linux") return;
  const command = `ulimit -v 3000000; exec '${process.execPath}' dist/cli/main.js generate Once -n 1`;
  const { status, stderr } = spawnSync("sh", ["-c", command], { encoding: "utf8", timeout: 60_000 });
  assert.is(status, 3);
  assert.match(stderr, /^deltallm: The engine refused a WebAssembly memory.*ulimit -v/);
});

test.run();
