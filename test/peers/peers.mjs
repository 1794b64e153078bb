// Masks of our engine for constrained output beside those of two others, over the same vocabulary, at every token of
// random walks. Where they differ the reason has to be one that docs/structured-output.md states.
// Ends with "N passed, N failed".
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Ajv2020 } from "ajv/dist/2020.js";
import { cases } from "./cases.mjs";
import { reasonOf } from "./reasons.mjs";

const here = resolve(fileURLToPath(import.meta.url), "..");
const root = resolve(here, "../..");
const installed = join(here, "node_modules/.package-lock.json");
if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(join(here, "package-lock.json")).mtimeMs) {
  const { status } = spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
    cwd: here,
    stdio: ["ignore", 2, 2],
  });
  if (status !== 0) {
    console.log("SKIPPED: the other engines cannot be installed here");
    process.exit(0);
  }
}
const { compileConstraint } = await import(join(root, "dist/constraints/compile.js"));
const { randomNumbers } = await import(join(root, "build/test/helpers/constraints.js"));
const { structuredOutput, xgrammar } = await import("./engines.mjs");

const words = [
  '":',
  '","',
  "true",
  "false",
  "null",
  "name",
  "ab",
  "12",
  "00",
  "0.5",
  "-1",
  '"}',
  "]}",
  "[{",
  "é",
  "日本",
  "\\n",
  '\\"',
];
const bytes = [
  ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
  ...words.map((word) => Buffer.from(word)),
];
const vocabulary = {
  size: bytes.length + 1,
  bytes: (id) => bytes[id],
  specialId: () => undefined,
  stopIds: [bytes.length],
};
const WALKS = 6;
const MOST_TOKENS = 60;
/** Tokens of a case that only they allow and that are followed to their end; further ones are taken to be like those. */
const MOST_FOLLOWED = 20;

let [passed, failed] = [0, 0];
for (const [name, make] of Object.entries({
  "web-xgrammar": xgrammar,
  "transformers-structured-output": structuredOutput,
})) {
  const start = await make(bytes);
  const counts = { masks: 0, tokens: 0 };
  const reasons = {};
  for (const [title, spec] of Object.entries(cases)) {
    if (spec.grammar !== undefined && name !== "web-xgrammar") continue;
    if (spec.regex !== undefined && name === "web-xgrammar") continue;
    try {
      (await start(spec)).dispose();
    } catch (error) {
      reasons[`refused: ${title}`] = String(error).slice(0, 60);
      continue;
    }
    spec.followed = 0;
    try {
      for (let seed = 1; seed <= WALKS; seed++) await walk(spec, start, seed, counts, reasons);
      passed++;
    } catch (error) {
      failed++;
      console.log(`FAIL ${name}, ${title}: ${error.message}`);
    }
  }
  console.log(`${name}: ${counts.masks} masks compared, ${counts.tokens} tokens differ`, reasons);
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);

async function walk(spec, start, seed, counts, reasons) {
  const random = randomNumbers(seed);
  const ours = compileConstraint(vocabulary, spec).start();
  const theirs = await start(spec);
  const text = [];
  const taken = [];
  for (let i = 0; i < MOST_TOKENS && !ours.ended; i++) {
    const words = ours.mask();
    const mine = new Set([...Array(vocabulary.size).keys()].filter((id) => (words[id >>> 5] >>> (id & 31)) & 1));
    const other = await theirs.mask();
    counts.masks++;
    for (const id of new Set([...mine, ...other])) {
      if (mine.has(id) === other.has(id)) continue;
      counts.tokens++;
      const who = mine.has(id) ? "ours" : "theirs";
      const token = Buffer.from(bytes[id] ?? []);
      let reason = reasonOf(who, spec, Buffer.from(text), token);
      if (!reason && who === "theirs")
        reason =
          spec.followed++ < MOST_FOLLOWED
            ? await whereTo(spec, start, taken, id)
            : "theirs: like others that were followed";
      if (!reason)
        throw new Error(
          `only ${who} allow ${JSON.stringify(token.toString())} after ${JSON.stringify(Buffer.from(text).toString())}`,
        );
      reasons[reason] = (reasons[reason] ?? 0) + 1;
    }
    const common = [...mine].filter((id) => other.has(id));
    if (common.length === 0) break;
    const stop = common.includes(bytes.length) && random() < 0.3;
    const id = stop ? bytes.length : common[Math.floor(random() * common.length)];
    if (id === bytes.length) break;
    ours.advance(id);
    if (!theirs.accept(id)) throw new Error(`they allowed ${id} and did not take it`);
    text.push(...bytes[id]);
    taken.push(id);
  }
  theirs.dispose();
}

/** What becomes of a token that only they allow: undefined when it leads to a valid answer that ours does not write. */
async function whereTo(spec, start, taken, token) {
  const valid = spec.regex === undefined ? new Ajv2020({ strict: false }).compile(spec.schema) : undefined;
  for (let seed = 1; seed <= 6; seed++) {
    const random = randomNumbers(seed);
    const theirs = await start(spec);
    const text = [];
    const take = (id) => {
      theirs.accept(id);
      text.push(...(bytes[id] ?? []));
    };
    for (const id of [...taken, token]) take(id);
    for (let i = 0; i < 40; i++) {
      const mask = await theirs.mask().catch(() => new Set());
      if (mask.has(bytes.length)) {
        const answer = Buffer.from(text).toString();
        if (valid && accepted(valid, answer)) return orderReason(spec, answer);
        break;
      }
      const ids = [...mask].filter((id) => bytes[id].every((byte) => byte < 0x80));
      if (ids.length === 0) break;
      const closing = ids.filter((id) => ['"', "]", "}"].includes(String.fromCharCode(bytes[id][0])));
      const from = closing.length > 0 && random() < 0.5 ? closing : ids;
      take(from[Math.floor(random() * from.length)]);
    }
    theirs.dispose();
  }
  return "theirs: beginnings that lead to no valid answer";
}

/** Ours writes properties in the order of the schema. */
function orderReason({ schema }, answer) {
  const value = JSON.parse(answer);
  const inOrder = (value) =>
    typeof value !== "object" || value === null || Array.isArray(value)
      ? true
      : Object.keys(value).join() ===
        Object.keys(schema.properties ?? {})
          .filter((key) => key in value)
          .join();
  return inOrder(value) ? undefined : "theirs: another order of properties";
}

function accepted(valid, text) {
  try {
    return valid(JSON.parse(text));
  } catch {
    return false;
  }
}
