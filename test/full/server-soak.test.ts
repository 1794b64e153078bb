import { test } from "uvu";
import * as assert from "uvu/assert";
import { serve } from "#src/server/index.js";
import { sharedModel, streamedText } from "../server/helpers.js";

/** How long the clients come, in minutes. */
const MINUTES = Number(process.env.DELTALLM_SOAK_MINUTES ?? 1);
const CLIENTS = 64;

test(`${CLIENTS} clients for ${MINUTES} min: every finished answer is the one computed alone, no place stays taken`, async () => {
  const model = await sharedModel();
  const server = await serve({ port: 0, models: { story: { model } }, parallel: 12, queue: 80 });
  const requests = Array.from({ length: 24 }, (_, i) => ({
    messages: [{ role: "user", content: `Story number ${i}. ${"It was a long day. ".repeat(i % 7)}` }],
    seed: i,
    max_tokens: 4 + ((i * 13) % 90),
  }));
  const ask = (body: object | string, signal?: AbortSignal) =>
    fetch(`${server.url}/v1/chat/completions`, {
      method: "POST",
      body: typeof body === "string" ? body : JSON.stringify(body),
      ...(signal ? { signal } : {}),
    });
  const alone: string[] = [];
  for (const request of requests) alone.push((await (await ask(request)).json()).choices[0].message.content);
  global.gc?.();
  const before = process.memoryUsage().rss;
  const end = Date.now() + MINUTES * 60_000;
  const counts = { finished: 0, left: 0, refused: 0, bad: 0 };

  const client = async (number: number) => {
    let random = 7919 * (number + 1);
    const next = (below: number) => {
      random = (Math.imul(random, 1103515245) + 12345) >>> 1;
      return (random >>> 4) % below;
    };
    while (Date.now() < end) {
      const which = next(requests.length);
      const request = requests[which] as (typeof requests)[number];
      const manner = next(10);
      if (manner === 0) {
        const response = await ask(`{"messages": [${"[".repeat(next(50))}`);
        assert.is(response.status, 400);
        await response.text();
        counts.bad++;
      } else if (manner < 4) {
        const response = await ask(request);
        const text = await response.text();
        if (response.status === 429) counts.refused++;
        else {
          assert.is(JSON.parse(text).choices[0].message.content, alone[which]);
          counts.finished++;
        }
      } else if (manner < 6) {
        const controller = new AbortController();
        setTimeout(() => controller.abort(), next(120));
        await ask({ ...request, stream: manner === 4, max_tokens: 200 }, controller.signal)
          .then((response) => response.text())
          .catch(() => undefined);
        counts.left++;
      } else {
        const response = await ask({ ...request, stream: true });
        if (response.status === 429) {
          await response.text();
          counts.refused++;
          continue;
        }
        let text = "";
        for await (const chunk of (response.body as ReadableStream<Uint8Array>).pipeThrough(
          new TextDecoderStream() as unknown as ReadableWritablePair<string, Uint8Array>,
        )) {
          text += chunk;
          if (manner === 9) await new Promise((resolve) => setTimeout(resolve, next(40)));
        }
        assert.is(streamedText(text), alone[which]);
        counts.finished++;
      }
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, (_, i) => client(i)));
  console.log(JSON.stringify(counts));
  assert.ok(counts.finished > 20 && counts.left > 5, JSON.stringify(counts));
  for (let i = 0; i < 100 && server.handler.load.running > 0; i++)
    await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(server.handler.load, { running: 0, waiting: 0 });
  global.gc?.();
  const grown = (process.memoryUsage().rss - before) / 1e6;
  assert.ok(grown < 250, `${grown.toFixed(0)} MB more than before`);
  await server.close();
});

test.after(async () => (await sharedModel()).dispose());
test.run();
