import { test } from "uvu";
import * as assert from "uvu/assert";
import { loadModel } from "#src/index.js";
import { createHandler } from "#src/server/index.js";
import type { ChatMessage } from "#src/types.js";
import { post } from "../server/helpers.js";

const CONVERSATIONS = 100;
const TURNS = 5;
/** Conversations that go on at the same time. */
const AT_ONCE = 10;
/** Tokens are shared in pages of so many. */
const PAGE = 64;

type Node = Map<number, Node>;

test(`${CONVERSATIONS} conversations of ${TURNS} turns with one system prompt: at least 95 % of the prompt tokens that could be shared are`, async () => {
  const model = await loadModel("embedded");
  // The server loads its own, with its own defaults.
  const handle = createHandler({ models: { story: { source: "embedded" } }, parallel: AT_ONCE, queue: CONVERSATIONS });
  const rules = Array.from({ length: 40 }, (_, i) => `Rule ${i}: be kind, tell of animals, and end well.`);
  const system: ChatMessage = { role: "system", content: rules.join(" ") };
  // Every sequence of tokens that the server has computed, as a tree: what a prompt has in common with it could be shared.
  const known: Node = new Map();
  const common = (ids: readonly number[]) => {
    let node: Node | undefined = known;
    let length = 0;
    for (; length < ids.length; length++) {
      node = node.get(ids[length] as number);
      if (!node) break;
    }
    return length;
  };
  const learn = (ids: readonly number[]) => {
    let node = known;
    for (const id of ids) {
      let next = node.get(id);
      if (!next) {
        next = new Map();
        node.set(id, next);
      }
      node = next;
    }
  };
  const sums = { prompts: 0, shareable: 0, inPages: 0, shared: 0 };
  const tokensOf = async (messages: readonly ChatMessage[], addGenerationPrompt: boolean) => [
    ...model.tokenizer.encode(await model.tokenizer.applyTemplate(messages, { addGenerationPrompt }), {
      special: true,
    }),
  ];
  const converse = async (number: number) => {
    const messages: ChatMessage[] = [system];
    for (let turn = 0; turn < TURNS; turn++) {
      messages.push({ role: "user", content: `Tell me part ${turn} of story ${number}.` });
      const ids = await tokensOf(messages, true);
      // The last token of a prompt is always computed: its logits are wanted.
      const most = Math.min(common(ids), ids.length - 1);
      learn(ids);
      const body = { messages, seed: number, max_tokens: 12 };
      const answer = await (await handle(post("/v1/chat/completions", body))).json();
      const { prompt_tokens: prompt, prompt_tokens_details: details } = answer.usage;
      assert.is(prompt, ids.length);
      sums.prompts += prompt;
      sums.shareable += most;
      sums.inPages += Math.floor(most / PAGE) * PAGE;
      sums.shared += details.cached_tokens;
      messages.push({ role: "assistant", content: answer.choices[0].message.content });
      learn(await tokensOf(messages, false));
    }
  };
  const numbers = Array.from({ length: CONVERSATIONS }, (_, i) => i);
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let number = numbers.shift(); number !== undefined; number = numbers.shift()) await converse(number);
    }),
  );
  await model.dispose();
  await handle.close();
  const percent = (of: number) => `${((100 * sums.shared) / of).toFixed(1)} %`;
  console.log(`${JSON.stringify(sums)}: ${percent(sums.shareable)}, of those in whole pages ${percent(sums.inPages)}`);
  assert.ok(sums.shared / sums.shareable >= 0.95, percent(sums.shareable));
  assert.ok(sums.shared / sums.inPages >= 0.99, percent(sums.inPages));
});

test.run();
