import { readFileSync } from "node:fs";
import { loadModel } from "deltallm";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { AttentionOptions, Session } from "#src/types.js";
import { shared } from "../helpers/fixtures.js";
import { argmax } from "../helpers/golden.js";

const path = shared("models", "SmolLM2-135M-Instruct.Q4_1.gguf");
const textPath = shared("data", "wikitext2", "wiki.test.raw.txt");
const calibrationPath = shared("data", "wikitext2", "wiki.valid.raw.txt");

const names = [
  "Anna",
  "Boris",
  "Clara",
  "David",
  "Elena",
  "Felix",
  "Greta",
  "Henry",
  "Irene",
  "Jonas",
  "Karla",
  "Leon",
];
const passkey = (i: number) => String(10_007 + ((i * 7919 + 331) % 89_989));
const TOKENS = 3300;

/** How many tokens of an answer are the likeliest ones, when the right ones are given before each. */
async function rightTokens(session: Session, question: readonly number[], answer: readonly number[]): Promise<number> {
  const { length } = session;
  let logits: Float32Array = new Float32Array();
  for (const id of question) logits = await session.step(id);
  let right = 0;
  for (const id of answer) {
    if (argmax(logits) === id) right++;
    logits = await session.step(id);
  }
  await session.truncate(length);
  return right;
}

if (path && textPath && calibrationPath)
  test("SmolLM2: passkeys in a long text and copies of it are found as well with selection as without", async () => {
    const contextLength = 4096;
    const calibrated = await loadModel(path, { contextLength });
    const calibration = await calibrated.calibrate(readFileSync(calibrationPath, "utf8").slice(0, 20_000), {
      windowTokens: contextLength,
    });
    await calibrated.dispose();
    const found = async (attention: AttentionOptions) => {
      const model = await loadModel(path, { contextLength, attention: { ...attention, calibration } });
      const encode = (text: string) => [...model.tokenizer.encode(text)];
      const text = encode(readFileSync(textPath, "utf8").slice(0, 20_000)).slice(0, TOKENS);
      assert.is(text.length, TOKENS);
      const piece = Math.floor(TOKENS / (names.length + 1));
      const ids = names.flatMap((name, i) => [
        ...text.slice(i * piece, (i + 1) * piece),
        ...encode(`\n The passkey of ${name} is ${passkey(i)}. Remember it.\n`),
      ]);
      ids.push(...text.slice(names.length * piece));
      const session = model.createSession();
      await session.prefill(ids);
      let keys = 0;
      let copies = 0;
      for (const [i, name] of names.entries()) {
        keys += await rightTokens(session, encode(`\n The passkey of ${name} is`), encode(` ${passkey(i)}`));
        const from = 100 + Math.floor((i * (ids.length - 600)) / names.length);
        copies += await rightTokens(session, ids.slice(from, from + 12), ids.slice(from + 12, from + 20));
      }
      await model.dispose();
      return { keys, copies, all: keys + copies };
    };
    const without = await found({ valueCutoff: 0.001 });
    const fast = await found({ preset: "fast" });
    console.log(`tokens right without selection ${JSON.stringify(without)}, with preset fast ${JSON.stringify(fast)}`);
    // The figures are the same on every machine; two tokens of 168 are chance.
    assert.ok(fast.all >= without.all - 2);
    assert.ok(without.copies > 50);
  });
else test.skip("SmolLM2: passkeys");

test.run();
