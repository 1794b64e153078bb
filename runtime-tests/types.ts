// Compiled, not run: the types a user sees.
import { type Chat, loadModel, type Model, type ModelStats, OptionError } from "deltallm";
import { story } from "deltallm/story";

const url: URL = story;
const model: Model = await loadModel(url, { threads: 2, kvCache: "int8", attention: { kind: "delta", threshold: 1 } });
const chat: Chat = model.createChat({ system: "Be brief." });
for await (const { text, token, logprob } of chat.send("Hello", { maxTokens: 8, stop: ["\n"] }))
  console.log(text satisfies string, token satisfies number, logprob satisfies number);
const { signal } = new AbortController();
const saved: Uint8Array = await model.createSession().save({ signal });
await (await model.restore(saved, { signal })).step(1, { signal });
await model.score("a", ["b"], { signal, onProgress: ({ fraction }) => console.log(fraction) });
const stats: ModelStats = model.stats();
console.log(stats.threadsReason satisfies string, new OptionError("none").hint satisfies string | undefined);
// @ts-expect-error: there is no such cache
await loadModel("embedded", { kvCache: "int3" });
