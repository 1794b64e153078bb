import type { IncomingMessage, ServerResponse } from "node:http";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DeltaLLMError } from "#src/errors.js";
import { openModel } from "#src/formats/open.js";
import { urlSource } from "#src/formats/sources/url.js";
import { renderChat } from "#src/tokenizer/chat-template.js";
import { createTokenizer } from "#src/tokenizer/tokenizer.js";
import { content } from "../formats/source-conformance.js";
import { damaged } from "../helpers/damage.js";
import { fuzzRounds } from "../helpers/fuzz-rounds.js";
import { mutateJson, type Random } from "../helpers/header-fuzz.js";
import { closeServers, ranged, serve } from "../helpers/servers.js";
import { tinyFolder, tinyTokenizer } from "../helpers/tiny-huggingface.js";
import { storyData } from "../helpers/tokenizers.js";

// Tokenizers, chat templates and servers that are not what they should be: each is read rightly or refused with a named
// error, in time. Headers of GGUF and safetensors: headers.test.ts. Minutes, seeds: fuzz-rounds.ts.

/** Runs what may fail with an error of this package only, within some seconds of computing; says whether it succeeded. */
async function named(work: () => unknown): Promise<boolean> {
  const start = process.cpuUsage();
  let good = true;
  try {
    await work();
  } catch (error) {
    assert.instance(error, DeltaLLMError, (error as Error)?.stack);
    good = false;
  }
  const { user, system } = process.cpuUsage(start);
  const time = (user + system) / 1000;
  assert.ok(time < 5000, `it took ${time} ms`);
  return good;
}

test("changed tokenizers are refused by name, or turn texts into ids and back without other errors", async () => {
  const texts = ["a b abba", "Once upon a time…\n\n 123 äöü 语", "<|im_start|>\ud800 x", "a".repeat(3000)];
  let loaded = 0;
  const original = JSON.stringify(tinyTokenizer);
  const runs = await fuzzRounds(1500, async (random) => {
    const folder = tinyFolder({ "tokenizer.json": mutateJson(original, random) });
    const good = await named(async () => {
      const file = await openModel(folder);
      const tokenizer = await createTokenizer(file.tokenizer);
      for (const text of texts) tokenizer.decode(tokenizer.encode(text));
    });
    if (good) loaded++;
  });
  assert.ok(loaded > 0 || runs < 100);
});

const templates = [
  "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
  "{% macro line(m) %}{{ m.role | upper ~ ': ' + m['content'] | trim | replace('a', 'b') }}{% endmacro %}{% for m in messages %}{{ line(m) }}{% if not loop.last %}{{ range(loop.index) | join('-') }}{% endif %}{% endfor %}",
  "{% set ns = namespace(n=0) %}{% for m in messages if m.role == 'user' %}{% set ns.n = ns.n + 1 %}{{ ns.n }}{{ m | tojson(indent=2) }}{% else %}{{ raise_exception('none') }}{% endfor %}",
];

test("changed chat templates render or are refused by name, in time", async () => {
  const data = storyData();
  let rendered = 0;
  const runs = await fuzzRounds(3000, async (random) => {
    const chatTemplate = damaged(random.pick(templates), () => random.next() / 2 ** 32);
    const messages = [
      { role: "system", content: "Be kind." },
      { role: "user", content: "aha {{ x }} <|im_end|>" },
    ];
    if (await named(() => renderChat({ ...data, chatTemplate }, messages))) rendered++;
  });
  assert.ok(rendered > 0 || runs < 100);
});

type Answer = (request: IncomingMessage, response: ServerResponse, bytes: Uint8Array) => void;
/** The answer of a good server with one more header. */
const withHeader =
  (name: string, value: (body: Uint8Array) => string): Answer =>
  (request, response, bytes) =>
    ranged(bytes, (headers, body) => {
      headers[name] = value(body);
      return body;
    })(request, response, 0);
/** The answer of a good server with a shorter body. */
const shorter =
  (random: Random): Answer =>
  (request, response, bytes) =>
    ranged(bytes, (_, body) => body.subarray(0, random.below(body.length)))(request, response, 0);

const wrongRanges = ["", "bytes", "bytes 0-0/1", "bytes 5-4/3", "bytes */9", "x 1-2/3", "bytes 0-9/*"];
const faults: ((random: Random) => Answer)[] = [
  (random) => (_, response) => response.writeHead(random.pick([400, 401, 403, 404, 416, 500, 503])).end("no"),
  () => (_, response) => response.writeHead(429, { "Retry-After": "0" }).end(),
  () => (request) => request.socket.destroy(),
  () => () => {},
  shorter,
  () => withHeader("Content-Length", (body) => String(body.length + 9)),
  (random) => withHeader("Content-Encoding", () => random.pick(["gzip", "br", "x"])),
  (random) => withHeader("Content-Range", () => random.pick(wrongRanges)),
  (random) => withHeader("ETag", () => `"${random.next()}"`),
  (random) => withHeader("Last-Modified", () => new Date(random.next()).toUTCString()),
  () => (_, response) => response.writeHead(302, { Location: "/again" }).end(),
  (random) => (_, response) => {
    response.writeHead(206, { "Content-Range": `bytes 0-99/${content.length}`, "Content-Length": "100" });
    response.write(new Uint8Array(random.below(99)));
  },
];

test("faults of servers: bytes read are the file's, or an error says what happened", async () => {
  let random: Random | undefined;
  let share = 0;
  const url = await serve((request, response) => {
    const current = random as Random;
    const answer = current.below(100) < share ? current.pick(faults)(current) : undefined;
    // A body shorter than its header promises is followed by the end of the connection, as when a server dies.
    response.on("finish", () => answer && setTimeout(() => request.socket.destroy(), 5));
    if (answer) answer(request, response, content);
    else withHeader("ETag", () => '"one"')(request, response, content);
  });
  let right = 0;
  const runs = await fuzzRounds(60, async (seeded) => {
    random = seeded;
    share = seeded.pick([10, 30, 60]);
    const patience = { answerMs: 100, stallMs: 100 };
    const start = performance.now();
    try {
      const source = await urlSource(url, patience);
      assert.is(source.size, content.length);
      for (let reads = 0; reads < 4; reads++) {
        const at = seeded.below(content.length);
        const length = seeded.below(content.length - at + 1);
        assert.equal(Buffer.compare(await source.read(at, length), content.subarray(at, at + length)), 0);
        right++;
      }
      await source.close?.();
    } catch (error) {
      assert.instance(error, DeltaLLMError, (error as Error)?.stack);
    }
    assert.ok(performance.now() - start < 60_000, "it was given up in time");
  });
  assert.ok(right > 0 || runs < 30);
});

test.after(() => closeServers());
test.run();
