import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { scoreRequests } from "#src/eval/evaluate.js";
import { readExamples } from "#src/eval/read-examples.js";
import { isRight, isRightPerByte } from "#src/eval/records.js";
import { select, shardOf } from "#src/eval/tasks.js";
import { FormatError, loadModel, OptionError } from "#src/index.js";
import { fixture } from "../helpers/fixtures.js";

test("rows become contexts and continuations", () => {
  const row = (value: unknown) => JSON.stringify(value);
  const [arc] = readExamples("arc_easy", row({ query: " Q? \n", choices: ["é", "two"], gold: 1 }), "f");
  assert.equal(arc, {
    kind: "choice",
    index: 0,
    requests: [
      { context: "Q?\nAnswer:", continuation: " é" },
      { context: "Q?\nAnswer:", continuation: " two" },
    ],
    bytes: [2, 3],
    gold: 1,
  });
  const [book] = readExamples("openbookqa", row({ query: "Q ", choices: ["a", "b"], gold: 0 }), "f");
  assert.is(book?.kind === "choice" && book.requests[0]?.context, "Q ");
  const [wino] = readExamples("winogrande", row({ context_options: ["x", "y"], continuation: "z.", gold: 0 }), "f");
  assert.equal(wino, {
    kind: "choice",
    index: 0,
    requests: [
      { context: "x", continuation: " z." },
      { context: "y", continuation: " z." },
    ],
    gold: 0,
  });
  const [word] = readExamples("lambada", row({ context: "x", continuation: "z" }), "f");
  assert.equal(word, { kind: "word", index: 0, request: { context: "x", continuation: " z" } });
  const squad = readExamples("squad_v2", readFileSync(fixture("eval", "squad_v2.json"), "utf8"), "f");
  assert.is(squad.length, 3);
  assert.equal(squad[1], {
    kind: "answer",
    index: 1,
    id: "b",
    prompt:
      "Title: Lily\n\nBackground: Lily is a little girl. She has a red ball and a dog named Max.\n\n" +
      "Question: What colour is the house?\n\nAnswer:",
    golds: [],
  });
});

test("data that are not those of the task are refused, with file and line", () => {
  for (const [task, text] of [
    ["piqa", '{"query":"q","choices":["a","b"],"gold":0}\n{"query":"q","choices":["a","b"],"gold":2}'],
    ["piqa", '{"query":"q","choices":["a","b"],"gold":0}\n\n{"query":"q"'],
    ["piqa", '{"query":"q","choices":["a","b"],"gold":0}\n[]'],
    ["lambada", '{"context":"x","continuation":"y"}\nnull'],
    ["lambada", '{"context":"x","continuation":"y"}\n{"context":"","continuation":"y"}'],
    [
      "winogrande",
      '{"context_options":["x","y"],"continuation":"z","gold":0}\n{"context_options":["x"],"continuation":"z","gold":0}',
    ],
  ] as const)
    assert.throws(
      () => readExamples(task, text, "rows.jsonl"),
      (error: unknown) => error instanceof FormatError && /rows\.jsonl, line [23]\b/.test(error.message),
      text,
    );
  assert.throws(
    () => readExamples("squad_v2", '{"data":[{"title":"t"}]}', "s.json"),
    /"paragraphs" is not a list .*data\[0\]/,
  );
  assert.throws(() => readExamples("squad_v2", "{", "s.json"), /not JSON/);
});

test("accuracy by sum and by byte; of equals the first", () => {
  const record = { task: "piqa", index: 0, tokens: [1, 2], logprobs: [-4, -6], bytes: [2, 6] };
  assert.equal([isRight({ ...record, gold: 0 }), isRightPerByte({ ...record, gold: 0 })], [true, false]);
  assert.equal([isRight({ ...record, gold: 1 }), isRightPerByte({ ...record, gold: 1 })], [false, true]);
  assert.ok(isRight({ ...record, logprobs: [-1, -1], gold: 0 }));
});

test("every, limit and shards", () => {
  const rows = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
  assert.equal(select(rows, { every: 3, limit: 3 }), [0, 3, 6]);
  assert.equal(select(rows, {}), rows);
  const parts = [1, 2, 3].map((part) => shardOf(rows, { part, parts: 3 }));
  assert.equal(parts[1], [1, 4, 7]);
  assert.equal(parts.flat().sort(), rows);
});

test("scores are those of every choice on its own, and what contexts begin with alike is computed once", async () => {
  const model = await loadModel("embedded", { threads: 1 });
  const encode = (text: string) => Array.from(model.tokenizer.encode(text, { addBos: model.tokenizer.addBos }));
  const computed = () => model.stats().prefill.tokens + model.stats().decode.tokens;
  const context = "Once upon a time, there was a little girl named Lily. She had a big red";
  const cases = [
    ["ball", "dog that was very loud", "house"].map((end) => ({ context, continuation: ` ${end}` })),
    ["ball", "dog"].map((end) => ({ context: `${context} ${end}`, continuation: " and she was very happy." })),
    [{ context, continuation: " ball" }],
    [{ context: `${context} `, continuation: "ball" }],
  ];
  for (const requests of cases) {
    const before = computed();
    const { scores, cut } = await scoreRequests(model, requests, { contextLength: 256 });
    assert.is(cut, 0);
    const tokens = computed() - before;
    const sequences = requests.map((request) => encode(request.context + request.continuation));
    const own = requests.reduce((sum, request, i) => {
      return sum + (sequences[i] as number[]).length - encode(request.context.trimEnd()).length;
    }, 0);
    // The last token of a context is computed again for each: its logits are needed.
    const contexts = requests.map((request) => encode(request.context.trimEnd()).slice(0, -1));
    const starts = new Set(contexts.flatMap((ids) => ids.map((_, i) => ids.slice(0, i + 1).join())));
    // The token before each continuation is computed with it, its last one not at all.
    assert.is(tokens, starts.size + own, "tokens computed");
    for (const [i, request] of requests.entries()) {
      const ids = sequences[i] as number[];
      const from = encode(request.context.trimEnd()).length;
      const alone = (await model.scoreWindow(ids)).slice(from - 1);
      assert.is(scores[i]?.tokens, ids.length - from);
      assert.is(
        scores[i]?.logprob,
        alone.reduce((sum, value) => sum + value, 0),
      );
    }
  }
  const long = await scoreRequests(model, cases[0] as NonNullable<(typeof cases)[0]>, { contextLength: 12 });
  assert.ok(long.cut > 0);
  assert.ok(long.scores.every(({ logprob }) => logprob < 0));
  let error: unknown;
  await scoreRequests(model, cases[0] as NonNullable<(typeof cases)[0]>, { contextLength: 2 }).catch((thrown) => {
    error = thrown;
  });
  assert.instance(error, OptionError);
  await model.dispose();
});

test.run();
