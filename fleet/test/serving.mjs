import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { steadyFetch } from "../src/client.mjs";
import { freePort, program, sleep } from "./bench.mjs";
import { startRouter } from "./router.mjs";

/** DELTALLM_FLEET_FULL=1: the size that is reported in docs/fleet.md. */
const full = process.env.DELTALLM_FLEET_FULL === "1";
const CONVERSATIONS = Number(process.env.DELTALLM_FLEET_CONVERSATIONS ?? (full ? 500 : 24));
const TURNS = 4;
/** Conversations at once. */
const USERS = 6;

export function servingCases() {
  if (!program("haproxy")) return [];
  return [
    [`${CONVERSATIONS} conversations behind HAProxy keep their prefixes, and lose nothing when a server dies`, serving],
    ["A stream whose server is killed goes on, on another one, with the same bytes", () => cutStream("haproxy")],
    ...(program("nginx")
      ? [["A stream whose server is killed goes on behind nginx too", () => cutStream("nginx")]]
      : []),
    ["The helper passes on what it has no business with", otherRequests],
  ];
}

/** A real `deltallm serve` with the story model, and so many MiB for prefixes. */
class Server {
  static async start(memory = 16) {
    const server = new Server();
    server.memory = memory;
    server.port = await freePort();
    await server.run();
    return server;
  }

  async run() {
    const require = createRequire(import.meta.url);
    const about = require.resolve("deltallm/package.json");
    const main = resolve(about, "..", require(about).bin.deltallm);
    const words = ["serve", "-m", "story=embedded", "--port", String(this.port), "--threads", "1", "--no-page"];
    words.push("--prefix-cache", String(this.memory));
    this.process = spawn(process.execPath, [main, ...words, "--log", "none", "--json"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(this.process.stdout, "data");
    const { process: child } = this;
    process.once("exit", () => child.kill("SIGKILL"));
  }

  async kill() {
    this.process.kill("SIGKILL");
    await once(this.process, "exit");
  }

  stop = () => (this.process.exitCode === null && this.process.signalCode === null ? this.kill() : undefined);
}

const words = "cat dog bird tree sun moon river boat child house garden flower stone cloud apple bread".split(" ");
/** What a user says: some 50 tokens that no other conversation has. */
function question(conversation, turn) {
  let state = conversation * 7919 + turn * 104729 + 1;
  const pick = () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return words[(state >>> 8) % words.length];
  };
  const said = Array.from({ length: 24 }, pick).join(" ");
  return `In story ${conversation} we see a ${said}. What comes then?`;
}

/**
 * All conversations, some of them at once; every second turn is a stream.
 * @returns answers by conversation and turn, and the share of prompt tokens that came from prefixes
 */
async function converse(url, send, { count = CONVERSATIONS, onAnswer } = {}) {
  const answers = new Map();
  let [prompt, cached] = [0, 0];
  const waiting = Array.from({ length: count }, (_, number) => ({ number, turn: 0, messages: [] }));
  const user = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const { number, turn, messages } = next;
      messages.push({ role: "user", content: question(number, turn) });
      const stream = turn % 2 === 1;
      const body = { model: "story", messages, max_tokens: 16, seed: number * 10 + turn, stream };
      if (stream) body.stream_options = { include_usage: true };
      const response = await send(`${url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      assert.equal(response.status, 200, await (response.ok ? "" : response.text()));
      const { content, usage } = stream ? readStream(await response.text()) : readAnswer(await response.json());
      prompt += usage.prompt_tokens;
      cached += usage.prompt_tokens_details?.cached_tokens ?? 0;
      answers.set(`${number} ${turn}`, content);
      messages.push({ role: "assistant", content });
      await onAnswer?.(answers.size);
      if (full && answers.size % 100 === 0)
        console.log(`     ${answers.size} answers, ${(cached / prompt).toFixed(3)} from prefixes`);
      // Others speak between a conversation's turns.
      if (turn + 1 < TURNS)
        waiting.splice(Math.min(waiting.length, USERS * 3), 0, { number, turn: turn + 1, messages });
    }
  };
  await Promise.all(Array.from({ length: USERS }, user));
  return { answers, share: cached / prompt };
}

const readAnswer = ({ choices, usage }) => ({ content: choices[0].message.content, usage });
function readStream(text) {
  const chunks = text
    .split("\n")
    .filter((line) => line.startsWith("data: {"))
    .map((line) => JSON.parse(line.slice(6)));
  assert.match(text, /data: \[DONE\]\n\n$/);
  assert.equal(new Set(chunks.map(({ id }) => id)).size, 1);
  assert.equal(chunks.filter(({ choices }) => choices[0]?.finish_reason).length, 1);
  const content = chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("");
  return { content, usage: chunks.at(-1).usage };
}

/** Runs with so many servers behind a router (one alone: without), each with its share of the memory. */
async function withServers(count, edit, run) {
  const servers = await Promise.all(Array.from({ length: count }, () => Server.start(48 / count)));
  let router;
  try {
    const ports = servers.map(({ port }) => port);
    if (count > 1) router = await startRouter("haproxy", ports, edit);
    return await run(router?.url ?? `http://127.0.0.1:${ports[0]}`, servers);
  } finally {
    await router?.stop();
    for (const server of servers) await server.stop();
  }
}

async function serving() {
  const inTurn = (text) =>
    text.replaceAll("balance hdr(X-Affinity)", "balance roundrobin").replace(/^ *hash-.*\n/gm, "");
  // Of few conversations one server has many: there it dies late.
  const dies = Math.floor(CONVERSATIONS * TURNS * (full ? 0.33 : 0.85));
  const returns = dies + (full ? 100 : 6);
  const [alone, round, affine] = await Promise.all([
    withServers(1, undefined, (url) => converse(url, steadyFetch())),
    withServers(3, inTurn, (url) => converse(url, steadyFetch())),
    withServers(3, undefined, (url, [victim]) =>
      converse(url, steadyFetch(), {
        async onAnswer(count) {
          if (count === dies) await victim.kill();
          if (count === returns) await victim.run();
        },
      }),
    ),
  ]);
  const shares = { single: alone.share, affinity: affine.share, roundRobin: round.share };
  console.log(`     share of prompt tokens from prefixes: ${JSON.stringify(shares)}`);
  for (const run of [round, affine]) {
    assert.equal(run.answers.size, CONVERSATIONS * TURNS);
    for (const [key, answer] of alone.answers) assert.equal(run.answers.get(key), answer, key);
  }
  assert.ok(affine.share >= 0.9 * alone.share, JSON.stringify(shares));
  assert.ok(round.share < affine.share);
}

async function cutStream(kind) {
  const servers = await Promise.all([Server.start(), Server.start(), Server.start()]);
  const router = await startRouter(
    kind,
    servers.map(({ port }) => port),
  );
  try {
    for (const path of ["/v1/chat/completions", "/v1/completions"]) {
      const body = {
        model: "story",
        ...(path.includes("chat")
          ? { messages: [{ role: "user", content: "Once upon a time" }] }
          : { prompt: "Once upon a time", logprobs: 2 }),
        max_tokens: 400,
        seed: 3,
        stream: true,
        stream_options: { include_usage: true },
      };
      const init = { method: "POST", headers: { "x-affinity": path }, body: JSON.stringify(body) };
      const whole = eventsOf(await (await fetch(router.url + path, init)).text());
      const response = await steadyFetch()(router.url + path, init);
      const reader = response.body.getReader();
      const decoder = new TextDecoder();
      let text = "";
      let killed;
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        text += decoder.decode(value, { stream: true });
        if (killed) continue;
        // At once: a story takes a quarter of a second.
        const busy = await Promise.all(
          servers.map(async ({ port }) => {
            const slots = await (await fetch(`http://127.0.0.1:${port}/slots`)).json();
            return slots.some(({ is_processing }) => is_processing);
          }),
        );
        killed = servers[busy.indexOf(true)];
        await killed?.kill();
      }
      assert.ok(killed, "the stream was over too early");
      assert.deepEqual(eventsOf(text), whole);
      await killed.run();
      await settle(router, servers.length);
    }
  } finally {
    await router.stop();
    for (const server of servers) await server.stop();
  }
}

/** Events without what belongs to one run: names, times, timings and the count of cached tokens. */
function eventsOf(text) {
  return text
    .split("\n\n")
    .filter((block) => block !== "" && !block.startsWith(":"))
    .map((block) => block.replace(/"(?:id|created|timings|prompt_tokens_details)":(?:"[^"]*"|\d+|\{[^{}]*\}),?/g, ""));
}

/** Waits until the router uses all machines again. */
async function settle(router, count) {
  for (let tries = 0, seen = 0; seen < count * 4; tries++) {
    assert.ok(tries < 300);
    seen = (await fetch(`${router.url}/health`, { headers: { "x-affinity": String(tries) } })).ok ? seen + 1 : 0;
    await sleep(100);
  }
}

async function otherRequests() {
  const asked = [];
  let status = 200;
  const send = steadyFetch({
    pause: 1,
    tries: 3,
    affinity: "me",
    fetch: async (input, init) => {
      asked.push([input, init]);
      if (status === 0) throw new TypeError("fetch failed");
      return new Response("{}", { status });
    },
  });
  const url = "http://127.0.0.1/v1/chat/completions";
  const post = (body, init) => send(url, { method: "post", body: JSON.stringify(body), ...init });
  await send("http://127.0.0.1/v1/models");
  assert.equal(asked.pop()[1].headers, undefined);
  await post({ messages: [] });
  const [, init] = asked.pop();
  assert.equal(init.headers.get("x-affinity"), "me");
  assert.equal(init.body, '{"messages":[]}');
  // What the server refuses is the caller's to see; what a router refuses is asked again, but not for ever.
  for (const [answer, times] of [
    [400, 1],
    [429, 1],
    [503, 3],
    [502, 3],
  ]) {
    status = answer;
    asked.length = 0;
    assert.equal((await post({ messages: [] })).status, answer);
    assert.equal(asked.length, times, String(answer));
  }
  status = 0;
  asked.length = 0;
  await assert.rejects(post({ messages: [] }), /fetch failed/);
  assert.equal(asked.length, 3);
  asked.length = 0;
  await assert.rejects(post({ messages: [] }, { signal: AbortSignal.abort() }));
  assert.equal(asked.length, 1);
  // The name of a conversation stays the same while it grows.
  const names = [];
  const named = steadyFetch({
    fetch: async (_, { headers }) => {
      names.push(headers.get("x-affinity"));
      return new Response("{}");
    },
  });
  const first = { role: "user", content: "Hello" };
  for (const messages of [[first], [first, { role: "assistant", content: "Hi" }, { role: "user", content: "And?" }]])
    await named(url, { method: "POST", body: JSON.stringify({ messages }) });
  await named(url, { method: "POST", body: JSON.stringify({ messages: [{ role: "user", content: "Other" }] }) });
  assert.equal(names[0], names[1]);
  assert.notEqual(names[0], names[2]);
}
