import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createHandler } from "deltallm/server";
import * as fleet from "../src/index.mjs";
import { canonical, settled } from "../src/requests.mjs";
import { sleep } from "./bench.mjs";

/** A line of a batch file. */
export const line = (custom_id, url, body) => ({ custom_id, method: "POST", url, body: { model: "story", ...body } });

/** Requests of all three kinds, some of them equal, one that is refused. */
export function requests(count, maxTokens = 40) {
  return Array.from({ length: count }, (_, index) => {
    const kind = index % 5;
    const text = `Story ${index % (count - 3)}: once upon a time there was`;
    const custom_id = `request-${index}`;
    if (index === 7) return line(custom_id, "/v1/completions", { prompt: text, max_tokens: -1 });
    if (kind === 0) return line(custom_id, "/v1/embeddings", { input: text });
    if (kind < 3) return line(custom_id, "/v1/completions", { prompt: text, max_tokens: maxTokens });
    const messages = [{ role: "user", content: text }];
    return line(custom_id, "/v1/chat/completions", {
      messages,
      max_tokens: maxTokens,
      ...(kind === 4 ? { seed: index } : {}),
    });
  });
}

export function write(bench, lines, name = "input.jsonl") {
  const path = join(bench.folder, name);
  writeFileSync(path, lines.map((each) => `${JSON.stringify(each)}\n`).join(""));
  return path;
}

export const readLines = (path) =>
  readFileSync(path, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((text) => JSON.parse(text));

/** What one machine answers to every request; some are computed together, which changes nothing. */
export async function singleMachine(lines, store, batch) {
  const fingerprint = (await store.batch(batch)).queue.replace("jobs-", "");
  const handler = createHandler({ models: { story: { source: "embedded" } }, timeout: 3600 });
  const answers = new Map();
  const left = [...lines];
  const answerAll = async () => {
    for (let next = left.shift(); next; next = left.shift()) {
      const job = fleet.jobOf(fingerprint, next.url, next.body);
      const request = new Request(`http://localhost${next.url}`, { method: "POST", body: JSON.stringify(job.body) });
      const response = await handler(request);
      const body = settled(job, await response.json());
      answers.set(next.custom_id, canonical({ status: response.status, body }));
    }
  };
  await Promise.all(Array.from({ length: 8 }, answerAll));
  await handler.close();
  return answers;
}

export async function complete(store, batch, seconds, bench) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(300))
    if ((await fleet.batchStatus(store, batch)).complete) return;
  throw new Error(`Not complete: ${JSON.stringify(await fleet.batchStatus(store, batch))}\n${bench.log.slice(-3000)}`);
}

/** Every request exactly once, in the file's order, with the bytes of the single machine. */
export async function assertExact(lines, expected, output) {
  const [answers, errors] = [readLines(output), readLines(`${output}.errors`)];
  const place = new Map(lines.map(({ custom_id }, index) => [custom_id, index]));
  for (const file of [answers, errors]) {
    const places = file.map(({ custom_id }) => place.get(custom_id));
    assert.deepEqual(
      places,
      [...places].sort((a, b) => a - b),
    );
  }
  const all = [...answers, ...errors];
  assert.equal(all.length, lines.length);
  assert.equal(new Set(all.map(({ custom_id }) => custom_id)).size, lines.length);
  for (const { custom_id, response } of all)
    assert.equal(canonical({ status: response.status_code, body: response.body }), expected.get(custom_id), custom_id);
}
