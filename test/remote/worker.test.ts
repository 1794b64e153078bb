import { spawnSync } from "node:child_process";
import { type GenerateOptions, loadModel, type Model, type Piece } from "deltallm";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EngineModel } from "#src/generate/model.js";

const options = { threads: 1, contextLength: 512 };

test("the engine is off the caller's thread, which goes on while a prompt is computed", async () => {
  await using model = await loadModel("embedded", options);
  assert.not.instance(model, EngineModel);
  assert.equal(
    model.file.notes.filter((note) => note.includes("thread")),
    [],
  );
  let over = false;
  const work = model
    .createSession()
    .prefill(Array.from({ length: 500 }, (_, i) => i + 300))
    .finally(() => {
      over = true;
    });
  let turns = 0;
  for (; !over; turns++) await new Promise((resolve) => setImmediate(resolve));
  assert.is((await work).length, model.config.vocab);
  assert.ok(turns > 3, `${turns} turns of the event loop`);
  await using own = await loadModel("embedded", { ...options, engineThread: "caller" });
  assert.instance(own, EngineModel);
});

test("a process that forgets its model ends by itself, and not before its answers are there", () => {
  const script = `
    const { loadModel } = await import(${JSON.stringify(import.meta.resolve("deltallm"))});
    const model = await loadModel("embedded", { threads: 2 });
    const pieces = model.generate("Once upon a time", { seed: 1 })[Symbol.asyncIterator]();
    await pieces.next();
    console.log((await model.complete("Once", { temperature: 0, maxTokens: 3 })).tokens.length);`;
  const run = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8", timeout: 60_000 });
  assert.is(run.stdout.trim(), "3", run.stderr);
  assert.is(run.status, 0);
});

async function take(pieces: AsyncIterable<Piece>, count: number): Promise<string> {
  const texts: string[] = [];
  for await (const piece of pieces) {
    texts.push(`${piece.token}:${piece.text}`);
    if (texts.length === count) break;
    // The engine is far ahead by then.
    if (texts.length % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 15));
  }
  return texts.join("|");
}

for (const attention of [{}, { kind: "delta", targetSparsity: 0.6, window: 64 }] as const)
  test(`${attention.kind ?? "full"}: who breaks off or aborts finds what it took, though pieces are made ahead`, async () => {
    const talk = async (model: Model) => {
      const said: unknown[] = [];
      const chat = model.createChat();
      for (const [count, message] of [
        [1, "Tell me a story about a dog who went to the sea and found a big shell there"],
        [4, "And then"],
        [99, "More"],
      ] as const)
        said.push(await take(chat.send(message, { seed: 3, maxTokens: 14 }), count));
      const controller = new AbortController();
      try {
        let seen = 0;
        for await (const _ of chat.send("On", { seed: 4, signal: controller.signal })) {
          if (++seen % 2 === 0) await new Promise((resolve) => setTimeout(resolve, 15));
          if (seen === 6) controller.abort(new Error("enough"));
        }
      } catch (error) {
        said.push((error as Error).message);
      }
      said.push(await take(chat.send("And", { seed: 5, maxTokens: 9 }), 99));
      const session = model.createSession();
      const settings: GenerateOptions = { temperature: 0, maxTokens: 12 };
      said.push(await take(session.generate("Once upon a time", settings), 5), session.length);
      said.push(await take(session.generate(" and", settings), 99), session.length);
      return said;
    };
    await using direct = await loadModel("embedded", { ...options, attention, engineThread: "caller" });
    await using remote = await loadModel("embedded", { ...options, attention });
    assert.equal(await talk(remote), await talk(direct));
  });

test("bytes are read from the caller and stay its own", async () => {
  const { readFile } = await import("node:fs/promises");
  const bytes = new Uint8Array(await readFile(new URL("../../../weights/story.gguf", import.meta.url)));
  const model = await loadModel(bytes, options);
  assert.is((await model.complete("Once", { maxTokens: 2 })).tokens.length, 2);
  await model.dispose();
  assert.ok(bytes.length > 1e6);
});

test("what is not a model and what is not a thread are refused by name", async () => {
  for (const source of [null, undefined, {}, 5] as never[])
    await loadModel(source, options).then(
      () => assert.unreachable(),
      (error: Error) => assert.match(error.message, /is not a model/),
    );
  await loadModel("embedded", { engineThread: "nowhere" as never }).then(
    () => assert.unreachable(),
    (error: Error) => assert.match(error.message, /engineThread/),
  );
});

test.run();
