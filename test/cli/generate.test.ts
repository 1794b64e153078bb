import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { OptionError } from "#src/errors.js";
import { runFake } from "../helpers/cli.js";

const test = suite("generate");
const folder = mkdtempSync(join(tmpdir(), "deltallm-cli-"));
test.after(() => rmSync(folder, { recursive: true }));
const written = "Once upon a time,!";

test("generate streams text and ends with a newline", async () => {
  const { code, stdout, stderr, asked } = await runFake(["generate", "A prompt"]);
  assert.is(code, 0);
  assert.is(stdout, `${written}\n`);
  assert.is(stderr, "");
  assert.is(asked.prompt, "A prompt");
  assert.is(asked.source, "embedded");
  assert.is(asked.disposed, 1);
});

test("generate passes its options on", async () => {
  const line =
    "generate p -m m.gguf -n 3 --temperature 0.5 --top-k 5 --top-p 0.9 --min-p 0.1 --repeat-penalty 1.1 --seed 9 " +
    "--stop x --stop y --ctx 100 --threads 3 --kernel simd --kv-cache f32 --head q8 --attention delta --grain chunk " +
    "--basis raw --threshold 0.25 --window-scale 0.1 --window 32 --sink 2 --value-cutoff 0.001";
  const { asked } = await runFake(line.split(" "));
  const { signal: _, onProgress: __, onContextShift: _____, ...generate } = asked.generate ?? {};
  assert.equal(generate, {
    maxTokens: 3,
    stop: ["x", "y"],
    temperature: 0.5,
    topK: 5,
    topP: 0.9,
    minP: 0.1,
    repetitionPenalty: 1.1,
    seed: 9,
  });
  assert.is(asked.source, "m.gguf");
  const { signal: ___, onProgress: ____, attention, ...load } = asked.load ?? {};
  assert.equal(load, {
    threads: 3,
    kernel: "simd",
    contextLength: 100,
    kvCache: "f32",
    head: "q8",
    prefillChunk: undefined,
    hub: undefined,
  });
  assert.equal(JSON.parse(JSON.stringify(attention)), {
    kind: "delta",
    grain: "chunk",
    basis: "raw",
    threshold: 0.25,
    windowScale: 0.1,
    window: 32,
    sink: 2,
    valueCutoff: 0.001,
  });
});

test("generate --json is one object; text held back is no token", async () => {
  const { stdout } = await runFake(["generate", "p", "--json", "--seed", "4"]);
  const { text, tokens, stats } = JSON.parse(stdout);
  assert.is(text, written);
  assert.equal(tokens, [0, 1, 2, 3, 4, 5]);
  assert.is(stats.decode.tokensPerSecond, 100);
  assert.is(stats.seed, 4);
});

test("generate reads its prompt from stdin, without the last newline", async () => {
  assert.is((await runFake(["generate"], { stdin: "two\nlines\n" })).asked.prompt, "two\nlines");
  assert.is((await runFake(["generate", "-"], { stdin: "dash\r\n" })).asked.prompt, "dash");
  const none = await runFake(["generate"], { stdinTTY: true });
  assert.is(none.code, 2);
  assert.match(none.stderr, "There is no prompt");
});

test("generate --stats writes a table to stderr only", async () => {
  const { stdout, stderr } = await runFake(["generate", "p", "--stats", "--seed", "77"]);
  assert.is(stdout, `${written}\n`);
  for (const word of ["prefill", "400.0 tokens/s", "5.00 MB", "2 (2 cores)", "seed", "77"]) assert.match(stderr, word);
});

test("thresholds are read from a file", async () => {
  const file = join(folder, "thresholds.json");
  writeFileSync(file, '{"format":"deltallm-calibration"}');
  const { asked } = await runFake(["generate", "p", "--attention", "delta", "--sparsity", "0.6", "--thresholds", file]);
  assert.is(asked.load?.attention?.targetSparsity, 0.6);
  assert.is(asked.load?.attention?.calibration?.format, "deltallm-calibration");
  writeFileSync(file, "no json");
  assert.is((await runFake(["generate", "p", "--thresholds", file])).code, 2);
  assert.is((await runFake(["generate", "p", "--thresholds", join(folder, "none")])).code, 2);
});

test("messages name the options of the command line, and begin alike", async () => {
  const topP = await runFake(["generate", "p", "--top-p", "2"]);
  assert.match(topP.stderr, /^deltallm: .*--top-p/);
  assert.not.match(topP.stderr, "topP");
  assert.match((await runFake(["generate", "p", "--threads", "0"])).stderr, /^deltallm: option '--threads <n>'/);
  const loadError = new OptionError(
    "attention.calibration is needed",
    { key: "attention.calibration" },
    "Or a contextLength",
  );
  assert.is(
    (await runFake(["generate", "p"], { loadError })).stderr,
    "deltallm: --thresholds is needed (--thresholds). Or a --ctx\n",
  );
});

test("--help leaves the options of attention to --help-all", async () => {
  const [brief, all] = [await runFake(["generate", "--help"]), await runFake(["generate", "--help-all"])];
  assert.is(all.code, 0);
  assert.not.match(brief.stdout, "--value-cutoff");
  // What most people need of them is there.
  assert.match(brief.stdout, /--preset <name> +for long contexts/);
  assert.match(brief.stdout, /--thresholds <file> +what `deltallm calibrate` measured/);
  assert.match(brief.stdout, "--help-all");
  assert.not.match(all.stdout, "--help-all");
  assert.match(all.stdout, "--value-cutoff");
  assert.is((await runFake(["generate", "p", "--value-cutoff", "0.1"])).asked.load?.attention?.valueCutoff, 0.1);
});

test("why a text ended is in the JSON, with log-probabilities where asked for", async () => {
  const { stdout, asked } = await runFake([
    ...["generate", "Hi", "--json", "-n", "2", "--logprobs", "3", "--context-overflow", "shift"],
    ...["--typical-p", "0.9", "--logit-bias", "4=-inf", "--logit-bias", "2=1.5", "--dry-multiplier", "0.8"],
  ]);
  const result = JSON.parse(stdout);
  assert.is(result.finishReason, "length");
  assert.is(result.usage.completionTokens, 6);
  assert.is(result.stats.contextLeft, 990);
  const { topLogprobs, contextOverflow, typicalP, logitBias, dryMultiplier } = asked.generate ?? {};
  assert.equal(
    { topLogprobs, contextOverflow, typicalP, logitBias, dryMultiplier },
    {
      topLogprobs: 3,
      contextOverflow: "shift",
      typicalP: 0.9,
      logitBias: { 4: Number.NEGATIVE_INFINITY, 2: 1.5 },
      dryMultiplier: 0.8,
    },
  );
  assert.is((await runFake(["generate", "Hi", "--logit-bias", "x"])).code, 2);
});

test("a full context is never an empty output with exit code 0; what was dropped is said once", async () => {
  const empty = await runFake(["generate", "Hi", "--context-overflow", "stop"], { finishReason: "context" });
  assert.is.not(empty.code, 0);
  assert.match(empty.stderr, /the prompt fills the context/);
  const chat = await runFake(["chat", "--context-overflow", "stop"], { finishReason: "context", stdin: "Hi\n" });
  assert.is.not(chat.code, 0);
  assert.match(chat.stderr, /the context is full/);
  const shifted = await runFake(["chat"], { shifts: true, stdin: "Hi\nMore\n" });
  assert.is(shifted.code, 0);
  assert.is(shifted.stderr.split("The context is full").length, 2);
});

test.run();
