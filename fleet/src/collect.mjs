import { createWriteStream } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { deadLetters, openBatch } from "./batches.mjs";
import { mergeLogs } from "./evaluations.mjs";
import { FleetError } from "./requests.mjs";

const CHUNK = 500;

/**
 * Writes what a batch has come to. Requests: answers in the order of its file as OpenAI batch output to `output`, requests
 * that were refused, failed or cancelled to `errors`. Evaluations: `output` is a folder with a log of each shard in
 * `shards`, and beside it one for each point, merged. Files appear whole or not at all.
 * @returns {Promise<{ answers: number, errors: number } | { logs: string[] }>}
 * @throws FleetError for a batch that is not complete, unless `partial`; then what is missing is left out
 */
export async function collect(store, name, options) {
  const batch = await openBatch(store, name);
  return (batch.kind === "evaluations" ? collectLogs : collectAnswers)(store, name, batch, options);
}

const incomplete = (name, missing, total) =>
  new FleetError(`Batch ${name} is not complete: ${missing} of ${total} jobs have no result yet`);

async function collectAnswers(store, name, batch, { output, errors = `${output}.errors`, partial = false }) {
  const { items, cancelled } = batch;
  const dead = new Map((await deadLetters(store, name)).map((letter) => [letter.job, letter]));
  const files = [output, errors].map((path) => ({ path, temporary: `${path}.${process.pid}.tmp`, lines: 0 }));
  for (const file of files) file.stream = createWriteStream(file.temporary);
  const write = (file, line) => {
    file.lines++;
    if (!file.stream.write(`${JSON.stringify(line)}\n`)) return new Promise((done) => file.stream.once("drain", done));
  };
  let missing = 0;
  try {
    for (let at = 0; at < items.length; at += CHUNK) {
      const part = items.slice(at, at + CHUNK);
      const results = await store.results(part.map(([, id]) => id));
      for (const [index, [custom_id, id]] of part.entries()) {
        const line = { id: `batch_req_${id.slice(0, 32)}`, custom_id };
        const bytes = results[index];
        if (bytes !== null) {
          const { status, body } = JSON.parse(bytes);
          const response = { status_code: status, request_id: id, body };
          await write(files[status === 200 ? 0 : 1], { ...line, response, error: null });
        } else if (dead.has(id)) {
          const { attempts, reason } = dead.get(id);
          const error = { code: "job_failed", message: `${reason} (after ${attempts} tries)` };
          await write(files[1], { ...line, response: null, error });
        } else if (cancelled) {
          const message = "The batch was cancelled before this request was answered";
          await write(files[1], { ...line, response: null, error: { code: "batch_cancelled", message } });
        } else missing++;
      }
    }
    if (missing > 0 && !partial) throw incomplete(name, missing, items.length);
    for (const { stream } of files) await finished(stream.end());
    for (const { path, temporary } of files) await rename(temporary, path);
    return { answers: files[0].lines, errors: files[1].lines };
  } finally {
    for (const { stream, temporary } of files) {
      stream.destroy();
      await rm(temporary, { force: true });
    }
  }
}

async function collectLogs(store, name, { items }, { output, partial = false }) {
  const results = await store.results(items.map(([, id]) => id));
  const missing = results.filter((bytes) => bytes === null).length;
  if (missing > 0 && !partial) {
    const [letter] = await deadLetters(store, name);
    if (letter) throw new FleetError(`Shard ${letter.custom_id} has failed: ${letter.reason}`);
    throw incomplete(name, missing, items.length);
  }
  const shards = join(output, "shards");
  await mkdir(shards, { recursive: true });
  const points = new Map();
  for (const [index, [custom_id]] of items.entries()) {
    if (results[index] === null) continue;
    const path = join(shards, `${custom_id}.jsonl`);
    await replace(path, (temporary) => writeFile(temporary, JSON.parse(results[index]).log));
    const point = custom_id.replace(/\.\d+-of-\d+$/, "");
    points.set(point, [...(points.get(point) ?? []), path]);
  }
  const logs = [];
  for (const [point, parts] of points) {
    const path = join(output, `${point}.jsonl`);
    await replace(path, (temporary) => mergeLogs(parts, temporary));
    logs.push(path);
  }
  return { logs };
}

async function replace(path, write) {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    await write(temporary);
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}
