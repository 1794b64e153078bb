import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { Worker } from "node:worker_threads";
import { canonical, FleetError, sha256 } from "./requests.mjs";

const require = createRequire(import.meta.url);
/** What the plan sets itself, or what belongs to the report. */
const refused = ["-m", "--model", "--out", "--shard", "--compare", "--json", "--seed", "--threads"];
/** What full attention, with which a sweep is compared, goes without; as in `deltallm eval --sweep`. */
const ofDelta = ["--attention", "--basis", "--thresholds", "--value-cutoff"];
/** Options whose values are files: their content goes with the jobs. */
const ofFiles = ["--text", "--thresholds"];
/** Where `deltallm eval` looks for data below `--data`. */
const dataFolders = [".", "eval", "wikitext2"];

/**
 * Reads the words of a `deltallm eval` command: options by name, in order; an option without a value has `undefined`.
 * @returns {[name: string, value: string | undefined][]}
 */
function readWords(words) {
  const options = [];
  for (let at = 0; at < words.length; at++) {
    const [, name, attached] = /^(--?[a-z][\w-]*)(?:=(.*))?$/s.exec(words[at]) ?? [];
    if (name === undefined) throw new FleetError(`${JSON.stringify(words[at])} is no option of deltallm eval`);
    if (refused.includes(name)) throw new FleetError(`${name} does not go with a plan; the fleet sets it`);
    const next = words[at + 1];
    if (attached !== undefined) options.push([name, attached]);
    else if (next !== undefined && !/^--?[a-z]/.test(next)) options.push([name, words[++at]]);
    else options.push([name, undefined]);
  }
  return options;
}

/** The points of a sweep with their options, named as `deltallm eval --sweep --out FOLDER` names its logs. */
function pointsOf(options) {
  const axes = new Map(
    options.filter(([name]) => name === "--sweep").map(([, value = ""]) => value.split("=", 2).map((s) => s.trim())),
  );
  const others = options.filter(([name]) => name !== "--sweep");
  if (axes.size === 0) return [{ name: "all", options: others }];
  let points = [{ name: "", options: [...others, ["--attention", "delta"]] }];
  for (const [axis, list = ""] of axes)
    points = points.flatMap((point) =>
      list.split(",").map((text) => ({
        name: `${point.name}${point.name && "_"}${axis}=${text.trim()}`,
        options: [...point.options, [`--${axis}`, text.trim()]],
      })),
    );
  return [{ name: "full", options: others.filter(([name]) => !ofDelta.includes(name)) }, ...points];
}

/**
 * Cuts an evaluation, or a sweep, into jobs: every point of it into shards. Data and other files are put into the store.
 * @param {import("./store-types.mjs").Store} store
 * @param {{ model: string, words: string[], shards: number }} plan `words`: options of `deltallm eval`
 * @returns {Promise<{ fingerprint: string, jobs: { custom_id: string, id: string, data: object }[] }>}
 * @throws FleetError for options that `deltallm eval` does not take
 */
export async function planEvaluation(store, { model, words, shards }) {
  const options = readWords(words);
  const files = [];
  const keep = async (path, name) => {
    const bytes = await readFile(path).catch((error) => {
      throw new FleetError(`${path} cannot be read: ${error.message}`);
    });
    const hash = createHash("sha256").update(bytes).digest("hex");
    if (!files.some((file) => file.hash === hash && file.name === (name ?? hash))) {
      files.push({ hash, name: name ?? hash });
      await store.putFile(hash, bytes);
    }
    return hash;
  };
  const folder = options.find(([name]) => name === "--data")?.[1];
  const points = pointsOf(options);
  let fingerprint;
  let wanted = [];
  // An empty shard: checks the options, and says what model and data they are about.
  for (const point of points.slice(0, 2)) {
    const { header } = await runShard(model, toWords(point.options), "999999/999999");
    fingerprint = header.model.fingerprint;
    wanted = header.tasks.map(({ sha256: hash }) => hash);
  }
  if (folder !== undefined)
    for (const below of dataFolders)
      for (const name of await readdir(join(folder, below)).catch(() => [])) {
        const path = join(folder, below, name);
        if (!/\.(?:jsonl?|txt|raw)$/.test(name) || !(await stat(path)).isFile()) continue;
        if (wanted.includes(sha256(await readFile(path)))) await keep(path, name);
      }
  const jobs = [];
  for (const { name, options: chosen } of points) {
    const kept = [];
    for (const [option, value] of chosen)
      kept.push(ofFiles.includes(option) ? [option, { file: await keep(value) }] : [option, value]);
    const withoutData = kept.filter(([option]) => option !== "--data");
    const used = files.filter(
      ({ hash, name: file }) => file !== hash || kept.some(([, value]) => value?.file === hash),
    );
    for (let part = 1; part <= shards; part++) {
      const shard = `${part}/${shards}`;
      const id = sha256(canonical(["evaluation", fingerprint, withoutData, used, folder !== undefined, shard]));
      const data = { options: withoutData, files: used, folder: folder !== undefined, shard };
      jobs.push({ custom_id: `${name}.${part}-of-${shards}`, id, data });
    }
  }
  return { fingerprint, jobs };
}

const toWords = (options) => options.flatMap(([name, value]) => (value === undefined ? [name] : [name, value]));

/**
 * Computes one shard.
 * @param {string} model what to load
 * @param {{ options: [string, string | { file: string } | undefined][], files: { hash: string, name: string }[],
 *   folder: boolean, shard: string }} data
 * @returns {Promise<string>} the log: records in order, and nothing that differs from run to run
 */
export async function evaluate(store, model, data, { threads, signal } = {}) {
  const folder = join(tmpdir(), `deltallm-fleet-${sha256(canonical(data.files)).slice(0, 32)}`);
  await mkdir(folder, { recursive: true });
  for (const { hash, name } of data.files) await fetchFile(store, join(folder, name), hash);
  const options = data.options.map(([name, value]) => [name, value?.file ? join(folder, value.file) : value]);
  if (data.folder) options.push(["--data", folder]);
  if (threads) options.push(["--threads", String(threads)]);
  const { header, records, runs } = await runShard(model, toWords(options), data.shard, signal);
  for (const run of runs) delete run.run.speed;
  return [header, ...records, ...runs].map((each) => `${JSON.stringify(each)}\n`).join("");
}

/** A file from the store, if it is not there yet. */
async function fetchFile(store, path, hash) {
  const there = await readFile(path).catch(() => undefined);
  if (there && sha256(there) === hash) return;
  const bytes = await store.file(hash);
  if (!bytes || sha256(bytes) !== hash) throw new Error(`The file ${basename(path)} of the plan is not in the store`);
  const temporary = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  await writeFile(temporary, bytes);
  await rename(temporary, path);
}

/** `deltallm eval` on a thread of its own; what it says on stderr is the error's message where it fails. */
async function runShard(model, words, shard, signal) {
  const folder = await mkdtemp(join(tmpdir(), "deltallm-fleet-shard-"));
  try {
    const out = join(folder, "log.jsonl");
    await runCli(["eval", "-m", model, ...words, "--shard", shard, "--out", out], signal);
    const [header, ...lines] = (await readFile(out, "utf8"))
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    const runs = lines.filter(({ run }) => run);
    return { header, records: lines.filter(({ run }) => !run), runs };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Joins logs of shards into one with `deltallm eval merge`. */
export const mergeLogs = (files, out) => runCli(["eval", "merge", ...files, "--out", out]);

async function runCli(words, signal) {
  const about = require.resolve("deltallm/package.json");
  const main = resolve(dirname(about), require(about).bin.deltallm);
  const thread = new Worker(main, { argv: words, stdout: true, stderr: true });
  const stop = () => void thread.terminate();
  signal?.addEventListener("abort", stop, { once: true });
  let said = "";
  thread.stdout.resume();
  thread.stderr.on("data", (data) => {
    said += data;
  });
  try {
    const code = await new Promise((done, fail) => {
      thread.once("error", fail);
      thread.once("exit", done);
    });
    if (code !== 0) throw new FleetError(said.trim() || `deltallm ${words[0]} ended with code ${code}`);
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}
