import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { type Asked, post, storyHandler, test } from "./helpers.js";

// Whole answers of the embedded model, byte for byte: the same in every runtime, on every machine, alone, among others,
// from the cache or not. DELTALLM_GOLDEN=write writes them anew.
const folder = new URL("../../../test/fixtures/server/", import.meta.url);

const user = (content: string) => [{ role: "user", content }];
const town = {
  type: "object",
  properties: { town: { enum: ["Rome", "Oslo"] }, days: { type: "integer", minimum: 1, maximum: 9 } },
  required: ["town", "days"],
  additionalProperties: false,
};
const tools = [{ type: "function", function: { name: "weather", description: "Weather of a town", parameters: town } }];

const requests: Record<string, [path: string, body: object]> = {
  chat: ["/v1/chat/completions", { messages: user("Tell me a story about a dog."), seed: 1, max_tokens: 40 }],
  "chat-stream": [
    "/v1/chat/completions",
    {
      messages: [{ role: "system", content: "Be kind." }, ...user("Who is there?")],
      seed: 2,
      max_tokens: 24,
      stream: true,
      stream_options: { include_usage: true },
    },
  ],
  "chat-greedy-logprobs": [
    "/v1/chat/completions",
    { messages: user("Once"), temperature: 0, max_tokens: 6, logprobs: true, top_logprobs: 3 },
  ],
  "chat-answers-stream": [
    "/v1/chat/completions",
    { messages: user("Say something"), seed: 3, n: 3, max_tokens: 8, stream: true, stop: ["was"] },
  ],
  "chat-schema": [
    "/v1/chat/completions",
    {
      messages: user("Where?"),
      seed: 4,
      max_tokens: 100,
      response_format: { type: "json_schema", json_schema: { name: "town", schema: town } },
    },
  ],
  "chat-tool-stream": [
    "/v1/chat/completions",
    { messages: user("Weather?"), seed: 5, max_tokens: 150, tools, tool_choice: "required", stream: true },
  ],
  "chat-samplers": [
    "/v1/chat/completions",
    {
      messages: user("Go on and on"),
      seed: 6,
      max_tokens: 24,
      temperature: 1.3,
      top_k: 30,
      min_p: 0.02,
      repeat_penalty: 1.1,
      presence_penalty: 0.5,
      dry_multiplier: 0.8,
      logit_bias: { "50": -100 },
    },
  ],
  "chat-resumed": [
    "/v1/chat/completions",
    { messages: user("Tell me a story about a dog."), seed: 1, max_tokens: 40, stream: true, resume_from: 30 },
  ],
  completion: [
    "/v1/completions",
    { prompt: ["Once upon a time", "One day"], seed: 7, max_tokens: 12, n: 2, logprobs: 1, echo: false },
  ],
  "completion-stream": [
    "/v1/completions",
    { prompt: "Once upon a time", seed: 8, max_tokens: 12, echo: true, stream: true },
  ],
  response: ["/v1/responses", { input: "Tell me a story", instructions: "Be brief", seed: 9, max_output_tokens: 16 }],
  "response-stream": ["/v1/responses", { input: "Hello", temperature: 0, max_output_tokens: 10, stream: true }],
  "response-tool-stream": [
    "/v1/responses",
    {
      input: [{ type: "message", role: "user", content: [{ type: "input_text", text: "Weather?" }] }],
      tools: [{ type: "function", name: "weather", parameters: town }],
      tool_choice: { type: "function", name: "weather" },
      seed: 10,
      max_output_tokens: 150,
      stream: true,
    },
  ],
  embeddings: ["/v1/embeddings", { input: ["A dog", "A cat"], dimensions: 16 }],
  error: ["/v1/chat/completions", { messages: user("Hi"), temperature: "warm" }],
};

test("answers are byte for byte those on record: alone, from the cache, and among others", async () => {
  const handle = await storyHandler({ parallel: 12 });
  const names = Object.keys(requests);
  // The first answer to each is computed, the next one begins with cached pages.
  for (const round of ["alone", "from the cache"])
    for (const name of names) compare(name, await transcript(handle, name), round);
  const noise = new AbortController();
  const others = Array.from({ length: 6 }, (_, i) => keepAsking(handle, i, noise.signal));
  await Promise.all(names.map(async (name) => compare(name, await transcript(handle, name), "among others")));
  noise.abort();
  await Promise.all(others);
});

async function transcript(handle: Asked, name: string): Promise<string> {
  const [path, body] = requests[name] as (typeof requests)[string];
  const response = await handle(post(path, body));
  const text = normalised(await response.text());
  return `POST ${path}\n${JSON.stringify(body)}\n\n${response.status} ${response.headers.get("content-type")}\n${text}\n`;
}

/** Without what is another one each time: names, times, and how much was found in the cache. */
function normalised(text: string): string {
  return text
    .replace(/"(chatcmpl-|cmpl-|resp_|msg_|fc_)[0-9a-f]{32}"/g, '"$1…"')
    .replace(/"(created|created_at|completed_at)":\d+/g, '"$1":0')
    .replace(/"cached_tokens":\d+/g, '"cached_tokens":0')
    .replace(/"timings":\{[^}]*\}/g, '"timings":{}');
}

function compare(name: string, text: string, when: string): void {
  const file = new URL(`${name}.txt`, folder);
  if (process.env.DELTALLM_GOLDEN === "write" && when === "alone") {
    mkdirSync(folder, { recursive: true });
    writeFileSync(file, text);
  }
  assert.ok(existsSync(file), `${file} is missing`);
  assert.fixture(text, readFileSync(file, "utf8"), `${name}, ${when}`);
}

/** Requests of all sorts, some broken off, until it is told to stop. */
async function keepAsking(handle: Asked, number: number, signal: AbortSignal): Promise<void> {
  for (let i = 0; !signal.aborted; i++) {
    const body = {
      messages: user(`Number ${number}, ${"and ".repeat((i * 7) % 40)}on`),
      max_tokens: 5 + ((i * 5) % 30),
    };
    const cut = i % 4 === 3 ? { signal: AbortSignal.timeout(10) } : {};
    await handle(post("/v1/chat/completions", { ...body, stream: i % 2 === 0 }, cut))
      .then((response) => response.text())
      .catch(() => undefined);
  }
}

test.run();
