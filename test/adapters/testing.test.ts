import { test } from "uvu";
import * as assert from "uvu/assert";
import { testModel } from "#src/adapters/testing.js";

test("the same words every time, whatever the call", async () => {
  const model = await testModel();
  const { text, tokens } = await model.complete("Once upon a time");
  assert.is(tokens.length, 32);
  assert.is(text, (await model.complete("Once upon a time", { seed: 1 })).text);
  assert.is.not(text, (await model.complete("Once upon a time", { seed: 2 })).text);
  const [a, b] = [model.createChat(), await model.createChat().fork()];
  const read = async (pieces: AsyncIterable<{ text: string }>) => {
    let all = "";
    for await (const piece of pieces) all += piece.text;
    return all;
  };
  assert.is(await read(a.send("Hello")), await read(b.send("Hello")));
  assert.equal(a.messages, b.messages);
  const session = model.createSession();
  assert.is(await read(session.generate("Once upon a time")), text);
  assert.ok(session.length > 30);
  await model.dispose();
});

test.run();
