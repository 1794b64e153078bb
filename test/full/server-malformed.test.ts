import { connect } from "node:net";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { serve } from "#src/server/index.js";
import { post, sharedModel, storyHandler } from "../server/helpers.js";

const paths = [
  "/v1/chat/completions",
  "/v1/completions",
  "/v1/responses",
  "/v1/embeddings",
  "/tokenize",
  "/detokenize",
  "/apply-template",
];
const names = [
  "messages",
  "prompt",
  "input",
  "content",
  "tokens",
  "model",
  "max_tokens",
  "temperature",
  "top_p",
  "top_k",
  "n",
  "stop",
  "seed",
  "logit_bias",
  "logprobs",
  "top_logprobs",
  "response_format",
  "tools",
  "tool_choice",
  "stream_options",
  "grammar",
  "json_schema",
  "__proto__",
  "constructor",
  "resume_from",
];

test("8,000 requests of random JSON are answered with 200 or an error that says what is wrong", async () => {
  const handle = await storyHandler({ maxTokens: 3, timeout: 20 });
  const value = fc.jsonValue({ maxDepth: 3 });
  const plausible = fc.oneof(
    fc.constantFrom("user", "auto", "json_object", "", "story", "\u0000", "\ud800"),
    fc.double(),
    fc.integer(),
    value,
    fc.array(fc.record({ role: fc.constantFrom("user", "tool", "assistant", 5), content: value }), { maxLength: 3 }),
    fc.record({
      type: fc.constantFrom("json_object", "json_schema", "text", "function"),
      function: value,
      json_schema: value,
    }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...paths),
      fc.dictionary(fc.constantFrom(...names), plausible, { maxKeys: 6 }),
      async (path, body) => {
        const response = await handle(post(path, JSON.stringify(body)));
        const text = await response.text();
        assert.ok(
          response.status === 200 || (response.status >= 400 && response.status < 500),
          `${response.status} ${text}`,
        );
        if (response.status !== 200) assert.type(JSON.parse(text).error.message, "string");
      },
    ),
    { numRuns: 8000, seed: 15 },
  );
  assert.equal(handle.load, { running: 0, waiting: 0 });
});

test("2,000 damaged requests on a socket: the server answers or closes, and goes on serving", async () => {
  const server = await serve({ port: 0, models: { story: { model: await sharedModel() } } });
  const good = JSON.stringify({ prompt: "a", max_tokens: 1 });
  const whole =
    `POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${good.length}\r\nConnection: close\r\n\r\n${good}`;
  const special = [
    `GET / HTTP/1.1\r\n\r\n`,
    `POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    `POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab`,
    `POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n`,
    `POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\n`,
    `GET http://evil.example/health HTTP/1.1\r\nHost: evil.example\r\n\r\n`,
    `GET /health HTTP/1.1\r\nHost: localhost\r\nX: ${"a".repeat(70_000)}\r\n\r\n`,
    `GET /%E0%A4%A HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
    `GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
    `\u0000\u0001\u0002`,
    `POST /v1/completions HTTP/1.1\r\nHost: a b\r\nContent-Length: 2\r\n\r\n{}`,
  ];
  // A second request hidden in the first one's body must not be answered as one.
  const hidden = "GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const smuggled = [
    `Content-Length: ${hidden.length + 5}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
    `Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${hidden}`,
    `Content-Length: 2\r\nContent-Length: ${hidden.length}\r\n\r\n{}${hidden}`,
    `Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${hidden}`,
    `Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${hidden}`,
    `Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${hidden}`,
    `X: a\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${hidden}`,
    `Content-Length: ${hidden.length}\r\n\r\n${hidden}`,
  ].map((rest) => `POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n${rest}`);
  for (const data of smuggled) {
    const answers = (await exchange(server.port, data)).match(/^HTTP\/1\.1 \d+/gm) ?? [];
    assert.ok(answers.length <= 1 && !answers[0]?.endsWith(" 200"), `${answers.join(", ")} to ${data}`);
  }
  const encoded = [
    { body: Buffer.from(good, "utf16le"), status: 400 },
    { body: Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]), status: 400 },
    { body: Buffer.from(good), headers: { "Content-Encoding": "gzip" }, status: 415 },
    { body: Buffer.from(`\ufeff${good}`), status: 200 },
    { body: Buffer.from(good), headers: { "Content-Type": "text/plain; charset=latin1" }, status: 200 },
  ];
  for (const { body, headers = {}, status } of encoded) {
    const answer = await fetch(`${server.url}/v1/completions`, { method: "POST", body, headers: { ...headers } });
    assert.is(answer.status, status, await answer.text());
  }
  let random = 12345;
  const next = (below: number) => {
    random = (Math.imul(random, 1103515245) + 12345) >>> 1;
    return random % below;
  };
  const damaged = Array.from({ length: 2000 - special.length }, () => {
    const bytes = Buffer.from(whole);
    for (let i = 0; i <= next(6); i++) bytes[next(bytes.length)] = next(256);
    return bytes.subarray(0, next(4) === 0 ? next(bytes.length) : bytes.length);
  });
  const all = [...special, ...damaged];
  for (let from = 0; from < all.length; from += 50)
    await Promise.all(all.slice(from, from + 50).map((data) => exchange(server.port, data)));
  const answer = await fetch(`${server.url}/v1/completions`, { method: "POST", body: good });
  assert.is(answer.status, 200);
  assert.equal(server.handler.load, { running: 0, waiting: 0 });
  await server.close();
});

test("headers and bodies that trickle in are given up with 408, others go on meanwhile", async () => {
  const server = await serve({ port: 0, models: { story: { model: await sharedModel() } } });
  const trickle = (text: string) =>
    new Promise<string>((resolve) => {
      let received = "";
      const socket = connect(server.port, "127.0.0.1");
      const timer = setInterval(() => socket.write(text), 500);
      socket.on("data", (data) => {
        received += data.toString("latin1");
      });
      socket.on("error", () => undefined);
      socket.on("close", () => {
        clearInterval(timer);
        resolve(received);
      });
    });
  const slow = Array.from({ length: 20 }, () => trickle("X"));
  const answer = await fetch(`${server.url}/v1/completions`, { method: "POST", body: '{"prompt":"a","max_tokens":1}' });
  assert.is(answer.status, 200);
  for (const text of await Promise.all(slow)) assert.match(text, /^(HTTP\/1\.1 4\d\d|$)/);
  await server.close();
});

/** Sends bytes and waits until the other side closes or has been silent for a while; returns what it said. */
function exchange(port: number, data: string | Uint8Array): Promise<string> {
  return new Promise((resolve) => {
    let received = "";
    let timer = setTimeout(() => done(), 500);
    const socket = connect(port, "127.0.0.1", () => socket.write(data));
    const done = () => {
      clearTimeout(timer);
      socket.destroy();
      assert.match(received, /^(HTTP\/1\.1 [2-5]\d\d|$)/);
      resolve(received);
    };
    socket.on("data", (part) => {
      received += part.toString("latin1");
      clearTimeout(timer);
      timer = setTimeout(done, 50);
    });
    socket.on("close", done);
    socket.on("error", done);
  });
}

test.after(async () => (await sharedModel()).dispose());
test.run();
