import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { compileConstraint } from "#src/constraints/compile.js";
import { ConstraintError, OptionError } from "#src/errors.js";
import { loadModel } from "#src/index.js";
import type { Completion, JsonSchema, Model } from "#src/types.js";
import { byteVocabulary, randomNumbers, randomText } from "../helpers/constraints.js";
import { damaged, damagedValue } from "../helpers/damage.js";
import { atRoot, fixture, shared } from "../helpers/fixtures.js";
import { anySchema } from "../helpers/schemas.js";
import { speculateAlways } from "../helpers/speculation.js";

/** One for each schema: they may have the same `$id`. */
function validator(schema: JsonSchema) {
  const ajv = new Ajv2020({ strict: false, multipleOfPrecision: 9 });
  (formats as unknown as (ajv: Ajv2020) => void)(ajv);
  return ajv.compile(schema as object);
}

/** Answers that are written side by side, so that passes hold several constrained sequences. */
const SIDE_BY_SIDE = 8;

/**
 * Answers of a model at temperature 1, judged by ajv: side by side without speculation, then one by one with it, which
 * must write the same.
 */
async function answers(model: Model, schemas: readonly JsonSchema[], maxTokens: number): Promise<void> {
  const counts = { usable: 0, ended: 0 };
  const ask = (schema: JsonSchema, seed: number, speculation: boolean) =>
    model.complete("An example: ", {
      schema,
      seed,
      speculation,
      temperature: 1,
      topK: 0,
      topP: 1,
      minP: 0,
      maxTokens,
    });
  const judge = async (schema: JsonSchema, seed: number) => {
    try {
      const answer = await ask(schema, seed, false);
      counts.usable++;
      assert.ok(["schema", "length"].includes(answer.finishReason));
      if (answer.finishReason === "schema") {
        counts.ended++;
        const validate = validator(schema);
        assert.ok(validate(JSON.parse(answer.text)), `${answer.text} does not fit ${JSON.stringify(schema)}`);
      }
      return answer;
    } catch (error) {
      assert.instance(error, OptionError, `${JSON.stringify(schema)}: ${(error as Error).stack}`);
      return undefined;
    }
  };
  for (let from = 0; from < schemas.length; from += SIDE_BY_SIDE) {
    const some = schemas.slice(from, from + SIDE_BY_SIDE);
    const written = await Promise.all(some.map((schema, i) => judge(schema, from + i)));
    for (const [i, answer] of written.entries())
      if (answer) assert.equal(withoutCache(await ask(some[i]!, from + i, true)), withoutCache(answer));
  }
  const { proposed, accepted } = model.stats().speculation;
  console.log(
    `${schemas.length} schemas, ${counts.usable} usable, ${counts.ended} answers ended, all of them valid; ` +
      `the same with speculation (${accepted} of ${proposed} proposals right)`,
  );
  assert.ok(counts.usable > schemas.length * 0.5 && counts.ended > counts.usable * 0.5 && accepted > 0);
}

/** What does not depend on what else the machine does. */
const withoutCache = ({ timings, ...answer }: Completion<unknown>) => ({
  ...answer,
  usage: { ...answer.usage, cachedTokens: 0 },
});

const random = (count: number) => fc.sample(anySchema, { numRuns: count, seed: 2020 });

/** The schemas of the official suite; those outside the profile are refused. */
function official(): JsonSchema[] {
  const folder = fixture("json-schema-suite", "draft2020-12");
  const files = readdirSync(folder, { recursive: true }).map(String).sort();
  return files
    .filter((name) => name.endsWith(".json"))
    .flatMap((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as { schema: JsonSchema }[])
    .map(({ schema }) => schema);
}

test("1,000 random schemas with the embedded model: every answer that ended is valid", async () => {
  await using model = await loadModel("embedded", { engineThread: "caller" });
  speculateAlways(model);
  await answers(model, random(1000), 200);
});

test("the official suite's schemas with the embedded model: every answer that ended is valid", async () => {
  await using model = await loadModel("embedded", { engineThread: "caller" });
  speculateAlways(model);
  await answers(model, official(), 120);
});

// DELTALLM_SCHEMAS: how many of the random and of the official schemas SmolLM2 answers; 1000 are all of them.
const many = Number(process.env.DELTALLM_SCHEMAS ?? 60);
test(`${many} random and official schemas with SmolLM2: every answer that ended is valid`, async () => {
  const path = shared("models", "SmolLM2-135M-Instruct.Q4_1.gguf");
  if (!path) return;
  await using model = await loadModel(path, { engineThread: "caller", contextLength: 256 });
  speculateAlways(model);
  await answers(model, random(many), 80);
  await answers(model, official().slice(0, many), 80);
});

const vocabulary = byteVocabulary(["ab", '":', "true"]);

/** Compiles and uses damaged input: it works, or is refused by a typed error, and never takes long. */
function survives(make: (random: () => number) => object, count: number): void {
  const random = randomNumbers(14);
  let refused = 0;
  for (let i = 0; i < count; i++) {
    const spec = make(random);
    // Of this process, not of the clock: the machine may do other things as well.
    const start = process.cpuUsage();
    try {
      randomText(compileConstraint(vocabulary, spec), vocabulary, random, 60);
    } catch (error) {
      refused++;
      assert.ok(
        error instanceof OptionError || error instanceof ConstraintError,
        `${JSON.stringify(spec)}: ${(error as Error).stack}`,
      );
    }
    assert.ok(process.cpuUsage(start).user < 20e6, JSON.stringify(spec));
  }
  console.log(`${count} damaged inputs, ${refused} refused`);
}

test("10,000 damaged schemas", () => {
  const schemas = fc.sample(anySchema, { numRuns: 10_000, seed: 14 });
  let next = 0;
  survives((random) => ({ schema: damagedValue(schemas[next++], random) }), schemas.length);
});

test("10,000 damaged grammars and expressions", () => {
  const grammar = readFileSync(atRoot("test", "fixtures", "json.gbnf"), "utf8");
  const expressions = [
    "^(?:[a-z]{2,5}|\\d+(?:\\.\\d{1,3})?)*x\\p{L}[^\\w-]$",
    "((a|b)*c){1,20}",
    "[\\u{1F600}-\\u{1F64F}]{3}\\x41(?<n>q)",
    "(x+x+)+y(\\s|.){0,30}",
  ];
  survives((random) => ({ grammar: damaged(grammar, random) }), 5000);
  survives((random) => ({ regex: damaged(expressions[Math.floor(random() * 4)]!, random) }), 5000);
});

test.run();
