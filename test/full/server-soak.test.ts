import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { streamedText } from "../server/helpers.js";

/** How long the clients come, in minutes. */
const MINUTES = Number(process.env.DELTALLM_SOAK_MINUTES ?? 1);
const CLIENTS = 64;

interface Served {
  child: ChildProcess;
  url: string;
}

/** The command line's server with the embedded model, as a process of its own. */
async function start(): Promise<Served> {
  const words = ["serve", "-m", "story=embedded", "--port", "0", "--parallel", "12", "--queue", "80"];
  const child = spawn(process.execPath, ["dist/cli/main.js", ...words, "--json", "--log", "none"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(child.stdout as NodeJS.ReadableStream, "data");
  return { child, url: JSON.parse(String(line)).url };
}

const requests = Array.from({ length: 24 }, (_, i) => ({
  messages: [{ role: "user", content: `Story number ${i}. ${"It was a long day. ".repeat(i % 7)}` }],
  seed: i,
  max_tokens: 4 + ((i * 13) % 90),
}));

function ask({ url }: Served, body: object | string, signal?: AbortSignal): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...(signal ? { signal } : {}),
  });
}

async function answersAlone(served: Served): Promise<string[]> {
  const alone: string[] = [];
  for (const request of requests) alone.push((await (await ask(served, request)).json()).choices[0].message.content);
  return alone;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function gauge({ url }: Served, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^deltallm_${name} (\\d+)$`, "m").exec(text)?.[1]);
}

async function ended({ child }: Served): Promise<number | null> {
  if (child.exitCode === null) await once(child, "exit");
  return child.exitCode;
}

function dice(seed: number): (below: number) => number {
  let random = 7919 * (seed + 1);
  return (below) => {
    random = (Math.imul(random, 1103515245) + 12345) >>> 1;
    return (random >>> 4) % below;
  };
}

test(`${CLIENTS} clients for ${MINUTES} min, stopped and continued: every finished answer is the one computed alone, memory flat, no place stays taken`, async () => {
  const served = await start();
  const alone = await answersAlone(served);
  const end = Date.now() + MINUTES * 60_000;
  const counts = { finished: 0, left: 0, refused: 0, bad: 0, stopped: 0 };

  const client = async (number: number) => {
    const next = dice(number);
    while (Date.now() < end) {
      const which = next(requests.length);
      const request = requests[which] as (typeof requests)[number];
      const manner = next(10);
      if (manner === 0) {
        const response = await ask(served, `{"messages": [${"[".repeat(next(50))}`);
        assert.is(response.status, 400);
        await response.text();
        counts.bad++;
      } else if (manner < 4) {
        const response = await ask(served, request);
        const text = await response.text();
        if (response.status === 429) counts.refused++;
        else {
          assert.is(JSON.parse(text).choices[0].message.content, alone[which]);
          counts.finished++;
        }
      } else if (manner < 6) {
        const controller = new AbortController();
        setTimeout(() => controller.abort(), next(120));
        await ask(served, { ...request, stream: manner === 4, max_tokens: 200 }, controller.signal)
          .then((response) => response.text())
          .catch(() => undefined);
        counts.left++;
      } else {
        const response = await ask(served, { ...request, stream: true });
        if (response.status === 429) {
          await response.text();
          counts.refused++;
          continue;
        }
        let text = "";
        const decoder = new TextDecoderStream() as unknown as ReadableWritablePair<string, Uint8Array>;
        for await (const chunk of (response.body as ReadableStream<Uint8Array>).pipeThrough(decoder)) {
          text += chunk;
          if (manner === 9) await pause(next(40));
        }
        assert.is(streamedText(text), alone[which]);
        counts.finished++;
      }
    }
  };
  const memory: number[] = [];
  const watch = async () => {
    const next = dice(99);
    while (Date.now() < end) {
      await pause(1500 + next(1000));
      served.child.kill("SIGSTOP");
      await pause(100 + next(400));
      served.child.kill("SIGCONT");
      counts.stopped++;
      memory.push(await gauge(served, "process_memory_bytes"));
    }
  };
  try {
    await Promise.all([watch(), ...Array.from({ length: CLIENTS }, (_, i) => client(i))]);
    console.log(JSON.stringify(counts));
    assert.ok(counts.finished > 20 && counts.left > 5 && counts.stopped > 5, JSON.stringify(counts));
    for (let i = 0; i < 250 && (await gauge(served, "requests_processing")) > 0; i++) await pause(20);
    assert.is(await gauge(served, "requests_processing"), 0);
    assert.is(await gauge(served, "requests_deferred"), 0);
    // The first third is warming up; of what follows the middle of the last third is compared with that of the second.
    const third = Math.floor(memory.length / 3);
    const before = middle(memory.slice(third, 2 * third));
    const after = middle(memory.slice(2 * third));
    console.log(`memory ${(before / 1e6).toFixed(0)} MB, then ${(after / 1e6).toFixed(0)} MB`);
    assert.ok(after < before * 1.1 + 20e6, `${(before / 1e6).toFixed(0)} MB grew to ${(after / 1e6).toFixed(0)} MB`);
    served.child.kill("SIGTERM");
    assert.is(await ended(served), 0);
  } finally {
    served.child.kill("SIGKILL");
  }
});

test("SIGTERM under load: what runs or waits is finished, what comes is refused, the process ends by itself", async () => {
  const served = await start();
  try {
    const alone = await answersAlone(served);
    let finished = 0;
    const running = requests.map(async (request, i) => {
      const response = await ask(served, { ...request, stream: i % 2 === 0 });
      assert.is(response.status, 200);
      const text =
        i % 2 === 0 ? streamedText(await response.text()) : (await response.json()).choices[0].message.content;
      assert.is(text, alone[i]);
      finished++;
    });
    // All of them have come in.
    const inside = async () =>
      (await gauge(served, "requests_processing")) + (await gauge(served, "requests_deferred")) + finished;
    while ((await inside()) < requests.length) await pause(2);
    served.child.kill("SIGTERM");
    const late = Promise.all(
      [1, 2, 3].map(async (i) => {
        await pause(20 * i);
        const status = await ask(served, requests[0] as object).then(
          (response) => response.status,
          () => "no connection",
        );
        assert.ok(status === 503 || status === "no connection", String(status));
      }),
    );
    await Promise.all([...running, late]);
    assert.is(await ended(served), 0);
  } finally {
    served.child.kill("SIGKILL");
  }
});

test("a second SIGTERM ends at once", async () => {
  const served = await start();
  const cut = ask(served, { ...requests[0], max_tokens: 900, temperature: 5, stream: true })
    .then((response) => response.text())
    .catch(() => "cut");
  while ((await gauge(served, "requests_processing")) === 0) await pause(2);
  served.child.kill("SIGTERM");
  await pause(30);
  served.child.kill("SIGTERM");
  await ended(served);
  await cut;
});

test("who never reads gets no more than fits the connection, and holds nobody up", async () => {
  const served = await start();
  try {
    // Some 30 MB of events, far more than sockets keep.
    const much = {
      ...requests[0],
      n: 8,
      max_tokens: 900,
      temperature: 5,
      logprobs: true,
      top_logprobs: 20,
      stream: true,
    };
    const response = await ask(served, much);
    let written = -1;
    for (let same = 0; same < 4; ) {
      await pause(500);
      const slots = (await (await fetch(`${served.url}/slots`)).json()) as { n_decoded?: number }[];
      const now = slots.reduce((sum, slot) => sum + (slot.n_decoded ?? 0), 0);
      same = now === written ? same + 1 : 0;
      written = now;
    }
    assert.ok(written > 0 && written < 8 * 900, `${written} tokens were written`);
    assert.is((await ask(served, requests[1] as object)).status, 200);
    await response.body?.cancel();
    for (let i = 0; i < 250 && (await gauge(served, "requests_processing")) > 0; i++) await pause(20);
    assert.is(await gauge(served, "requests_processing"), 0);
  } finally {
    served.child.kill("SIGKILL");
  }
});

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}

test.run();
