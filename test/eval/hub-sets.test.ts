import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { FormatError } from "#src/errors.js";
import { hubSets } from "#src/eval/hub-sets.js";
import { readParquet } from "#src/eval/parquet.js";
import { readExamples } from "#src/eval/read-examples.js";
import { taskNames } from "#src/eval/tasks.js";
import { atRoot, fixture } from "../helpers/fixtures.js";
import { MockHub } from "../helpers/mock-hub.js";
import { startCommand } from "../helpers/pull-process.js";

const parquet = (name: string) => new Uint8Array(readFileSync(fixture("parquet", `${name}.parquet`)));

/** Published paths of the splits, and the fixture that stands for each. */
const paths = {
  winogrande: ["winogrande_xl/validation-00000-of-00001.parquet", "winogrande"],
  arc_easy: ["ARC-Easy/test-00000-of-00001.parquet", "arc"],
  arc_challenge: ["ARC-Challenge/test-00000-of-00001.parquet", "arc"],
  piqa: ["plain_text/validation/0000.parquet", "piqa"],
  openbookqa: ["main/test-00000-of-00001.parquet", "openbookqa"],
  boolq: ["data/validation-00000-of-00001.parquet", "boolq"],
  lambada: ["default/test/0000.parquet", "lambada"],
  squad_v2: ["squad_v2/validation-00000-of-00001.parquet", "squad_v2"],
  perplexity: ["wikitext-2-raw-v1/test-00000-of-00001.parquet", "wikitext"],
} as const;

const others = [
  "README.md",
  "winogrande_xs/validation-00000-of-00001.parquet",
  "winogrande_xl/train-00000-of-00001.parquet",
  "ARC-Easy/train-00000-of-00001.parquet",
  "additional/test-00000-of-00001.parquet",
  "plain_text/test/0000.parquet",
  "wikitext-103-raw-v1/test-00000-of-00001.parquet",
  "de/test/0000.parquet",
];

async function textOf(task: keyof typeof paths, name: string = paths[task][1]): Promise<string> {
  const { columns, toText } = hubSets[task];
  return toText(await readParquet(parquet(name), columns, name), name);
}

test("of every set the right split is taken and nothing else", () => {
  for (const task of taskNames) {
    assert.match(paths[task][0], hubSets[task].files);
    for (const other of others) assert.not.match(other, hubSets[task].files, `${task} ${other}`);
  }
});

test("rows of the published sets become those of the local files", async () => {
  const examples = async (task: Exclude<keyof typeof paths, "perplexity">) =>
    readExamples(task, await textOf(task), "x");
  const [first, second] = (await examples("winogrande")) as { gold: number; requests: object[] }[];
  assert.equal(first?.requests[1], { context: "The dog chased the cat because the cat", continuation: " was hungry." });
  assert.equal([first?.gold, second?.gold], [0, 1]);
  const arc = (await examples("arc_easy")) as { gold: number; requests: { context: string; continuation: string }[] }[];
  assert.equal(arc[0]?.requests[1], { context: "Question: What is hot?\nAnswer:", continuation: " fire" });
  assert.equal(
    arc.map(({ gold }) => gold),
    [1, 1],
  );
  const boolq = (await examples("boolq")) as typeof arc;
  assert.equal(boolq[1]?.requests[0], {
    context: "Passage: Ice is cold.\nQuestion: is ice hot?\nAnswer:",
    continuation: " no",
  });
  assert.equal(
    boolq.map(({ gold }) => gold),
    [1, 0],
  );
  assert.is((await examples("piqa")).length, 1);
  assert.is((await examples("openbookqa")).length, 1);
  const [word] = (await examples("lambada")) as unknown as { request: { continuation: string } }[];
  assert.is(word?.request.continuation, " toy");
  const squad = (await examples("squad_v2")) as unknown as { id: string; golds: string[]; prompt: string }[];
  assert.equal(
    squad.map(({ id, golds }) => [id, golds]),
    [
      ["q1", ["Max", "Max."]],
      ["q2", []],
    ],
  );
  assert.match(squad[0]?.prompt ?? "", /^Title: Dogs\n\nBackground: Tim/);
  assert.match(await textOf("perplexity"), /^ \n = A dog = \n \n Once upon/);
});

test("a file that is none, lacks a column or has other rows is an error that names it", async () => {
  const whole = parquet("boolq");
  const failure = async (bytes: Uint8Array<ArrayBuffer>, columns: readonly string[]) => {
    const error = await readParquet(bytes, columns, "the file").then(
      () => undefined,
      (thrown) => thrown,
    );
    assert.instance(error, FormatError);
    assert.match(error.message, /the file/);
    return error.message;
  };
  assert.match(await failure(whole, ["question", "reply"]), /no column "reply"/);
  await failure(whole.slice(0, 200), ["question"]);
  await failure(new Uint8Array(0), ["question"]);
  await failure(new TextEncoder().encode("<html>no</html>".repeat(20)), ["question"]);
  const { columns, toText } = hubSets.arc_easy;
  assert.throws(
    () => toText([{ question: "x", choices: "none" }], "f"),
    (error: Error) => /row 0/.test(error.message),
  );
  assert.ok(columns.includes("answerKey"));
});

test("eval takes its data by name, keeps them, and needs no connection the next time", async () => {
  const hub = await MockHub.start();
  const cache = mkdtempSync(join(tmpdir(), "deltallm-hub-"));
  const env = { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cache };
  try {
    for (const task of ["winogrande", "squad_v2", "perplexity"] as const) {
      const { repository, revision } = hubSets[task];
      hub.commit(
        `datasets/${repository}`,
        { "README.md": "data", [paths[task][0]]: parquet(paths[task][1]) },
        revision,
      );
    }
    const args = [
      "eval",
      "--task",
      "winogrande,squad-v2,perplexity",
      "--text-window",
      "20",
      "--threads",
      "1",
      "--json",
    ];
    const first = await startCommand(args, env).ended;
    assert.is(first.code, 0, first.stderr);
    const { tasks } = JSON.parse(first.stdout);
    assert.equal([tasks.winogrande.n, tasks.squad_v2.n], [2, 2]);
    assert.match(first.stderr, /winogrande has 2 rows, the published set has 1267/);
    hub.seen.length = 0;
    const second = await startCommand([...args, "--offline"], env).ended;
    assert.equal(JSON.parse(second.stdout).tasks, tasks);
    assert.is(hub.seen.length, 0);
    const missing = await startCommand(["eval", "--tasks", "boolq", "--offline"], env).ended;
    assert.is(missing.code, 2);
    assert.match(missing.stderr, /^deltallm: [^\n]*not in the cache[^\n]*\n$/);
  } finally {
    await hub.close();
    rmSync(cache, { recursive: true, force: true });
  }
});

test("reproduce runs both models, full and delta, and goes on where it was", async () => {
  const hub = await MockHub.start();
  const folder = mkdtempSync(join(tmpdir(), "deltallm-hub-"));
  const env = { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: join(folder, "cache") };
  try {
    const story = new Uint8Array(readFileSync(atRoot("weights/story.gguf")));
    hub.commit("microsoft/bitnet-b1.58-2B-4T-gguf", { "ggml-model-i2_s.gguf": story });
    hub.commit("meta-llama/Llama-3.2-1B-Instruct", { "Llama-3.2-1B-Instruct-Q8_0.gguf": story });
    hub.commit("datasets/rajpurkar/squad_v2", { [paths.squad_v2[0]]: parquet("squad_v2") });
    hub.commit("datasets/Salesforce/wikitext", {
      "wikitext-2-raw-v1/validation-00000-of-00001.parquet": parquet("wikitext-validation"),
    });
    const out = join(folder, "out");
    const args = ["reproduce", "--ctx", "256", "--threads", "1", "--out", out];
    const first = await startCommand(args, env).ended;
    assert.is(first.code, 0, first.stderr);
    assert.match(first.stdout, /^\| bitnet \| squad_v2 f1 \(n = 2\) \| [\d.]+ \| [\d.]+ \| 29\.63 → 30\.97 \|$/m);
    assert.match(first.stdout, /^\| llama \| attention sparsity \| \| [\d.]+ % \| {2}\|$/m);
    assert.is(readFileSync(join(out, "report.md"), "utf8"), first.stdout);
    // Nothing is computed or asked for again.
    hub.seen.length = 0;
    const log = readFileSync(join(out, "llama-delta.jsonl"), "utf8");
    const again = await startCommand([...args, "--json", "--offline"], env).ended;
    assert.is(again.code, 0, again.stderr);
    assert.equal(
      JSON.parse(again.stdout).results.map(({ model }: { model: string }) => model),
      ["bitnet", "llama"],
    );
    assert.is(readFileSync(join(out, "llama-delta.jsonl"), "utf8"), log);
    assert.is(hub.seen.length, 0);
  } finally {
    await hub.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

test.run();
