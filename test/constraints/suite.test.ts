import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { compileConstraint } from "#src/constraints/compile.js";
import { SchemaDocument } from "#src/constraints/schema/document.js";
import { fits } from "#src/constraints/schema/validate.js";
import type { Constraint, JsonSchema } from "#src/constraints/types.js";
import { OptionError } from "#src/errors.js";
import { accepts, byteVocabulary } from "../helpers/constraints.js";
import { fixture } from "../helpers/fixtures.js";

interface Case {
  description: string;
  schema: JsonSchema;
  tests: { description: string; data: unknown; valid: boolean }[];
}

const folder = fixture("json-schema-suite", "draft2020-12");
const files = readdirSync(folder, { recursive: true })
  .map(String)
  .filter((name) => name.endsWith(".json"))
  .sort();
const vocabulary = byteVocabulary();

/** Formats count here, and of some of them only usual forms are written. */
const narrower = /^(format\.json|optional.format)/;

/** Valid data that is not written, by the documented choices of what is. */
const notWritten = {
  "properties nobody speaks of":
    /additionalProperties are allowed by default|doesn't invalidate other|forbidden property|regexes are not anchored|incompatible with root/,
  "items after a prefix nobody speaks of":
    /a schema given for prefixItems|additional items are allowed by default|uniqueItems=false with an array of items/,
  "another order of properties":
    /allOf with base schema|anyOf complex types|const with object|dependency|multiple dependents|escaped characters/,
  "numbers of more than 15 digits": /^integer|comparison|multiples of 0.5/,
} as const;

let written = 0;
let refused = 0;
const explained: Record<string, number> = {};

for (const file of files)
  test(`official suite: ${file}`, () => {
    for (const { description, schema, tests } of JSON.parse(readFileSync(join(folder, file), "utf8")) as Case[]) {
      let constraint: Constraint | undefined;
      try {
        constraint = compileConstraint(vocabulary, { schema });
      } catch (error) {
        assert.instance(error, OptionError, description);
        if (!/No value fits/.test((error as Error).message)) {
          refused++;
          continue;
        }
      }
      const document = new SchemaDocument(schema);
      for (const { description: what, data, valid } of tests) {
        const place = `${description}: ${what}`;
        const text = JSON.stringify(data);
        const allowed = constraint !== undefined && accepts(constraint, text);
        if (allowed) assert.ok(valid, `invalid but written: ${place}`);
        const fit = fits(document, data, document.root);
        if (!narrower.test(file)) assert.is(fit, valid, place);
        if (allowed) written++;
        else if (valid && !narrower.test(file)) {
          const why = Object.entries(notWritten).find(([, pattern]) => pattern.test(place));
          assert.ok(why, `valid but not written: ${place}`);
          explained[why![0]] = (explained[why![0]] ?? 0) + 1;
        }
      }
    }
  });

test("what of the suite is written", () => {
  console.log(`${written} valid values written, ${refused} schemas refused by name, not written:`, explained);
  assert.ok(written > 400 && refused < 60);
});

test.run();
