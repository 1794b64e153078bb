import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { compileConstraint } from "#src/constraints/compile.js";
import { ConstraintError, OptionError } from "#src/errors.js";
import { loadModel } from "#src/index.js";
import type { Model } from "#src/types.js";
import { byteVocabulary, randomNumbers, randomText } from "../helpers/constraints.js";
import { damaged, damagedValue } from "../helpers/damage.js";
import { atRoot, shared } from "../helpers/fixtures.js";
import { anySchema } from "../helpers/schemas.js";

const ajv = new Ajv2020({ strict: false, multipleOfPrecision: 9 });
(formats as unknown as (ajv: Ajv2020) => void)(ajv);

/** Answers of a model at temperature 1 under random schemas, judged by ajv. */
async function answers(model: Model, count: number, maxTokens: number): Promise<void> {
  let made = 0;
  let ended = 0;
  for (const [seed, schema] of fc.sample(anySchema, { numRuns: count, seed: 2020 }).entries()) {
    try {
      const answer = await model.complete("An example: ", {
        schema,
        seed,
        temperature: 1,
        topK: 0,
        topP: 1,
        minP: 0,
        maxTokens,
      });
      made++;
      assert.ok(["schema", "length"].includes(answer.finishReason));
      if (answer.finishReason !== "schema") continue;
      ended++;
      const validate = ajv.compile(schema as object);
      assert.ok(validate(JSON.parse(answer.text)), `${answer.text} does not fit ${JSON.stringify(schema)}`);
    } catch (error) {
      assert.instance(error, OptionError, String((error as Error).stack));
    }
  }
  console.log(`${count} schemas, ${made} usable, ${ended} answers ended, all of them valid`);
  assert.ok(made > count * 0.6 && ended > made * 0.5);
}

test("1,000 random schemas with the embedded model: every answer that ended is valid", async () => {
  await using model = await loadModel("embedded");
  await answers(model, 1000, 200);
});

test("random schemas with SmolLM2: every answer that ended is valid", async () => {
  const path = shared("models", "SmolLM2-135M-Instruct.Q4_1.gguf");
  if (!path) return;
  await using model = await loadModel(path);
  await answers(model, 150, 80);
});

const vocabulary = byteVocabulary(["ab", '":', "true"]);

/** Compiles and uses damaged input: it works, or is refused by a typed error, and never takes long. */
function survives(make: (random: () => number) => object, count: number): void {
  const random = randomNumbers(14);
  let refused = 0;
  for (let i = 0; i < count; i++) {
    const spec = make(random);
    const start = performance.now();
    try {
      randomText(compileConstraint(vocabulary, spec), vocabulary, random, 60);
    } catch (error) {
      refused++;
      assert.ok(
        error instanceof OptionError || error instanceof ConstraintError,
        `${JSON.stringify(spec)}: ${(error as Error).stack}`,
      );
    }
    assert.ok(performance.now() - start < 20_000, JSON.stringify(spec));
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
