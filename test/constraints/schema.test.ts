import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { compileConstraint } from "#src/constraints/compile.js";
import type { Constraint, JsonSchema } from "#src/constraints/types.js";
import { OptionError } from "#src/errors.js";
import { byteVocabulary, randomNumbers, randomText, storyVocabulary, tokensOf } from "../helpers/constraints.js";
import { anySchema } from "../helpers/schemas.js";

const judge = () => {
  const ajv = new Ajv2020({ strict: false, multipleOfPrecision: 9, allErrors: false });
  (formats as unknown as (ajv: Ajv2020) => void)(ajv);
  return ajv;
};

/** The constraint, or undefined when it says that it cannot be decided, or that no value fits. */
function compiled(schema: JsonSchema): Constraint | undefined {
  try {
    return compileConstraint(storyVocabulary(), { schema });
  } catch (error) {
    assert.instance(error, OptionError, `${String((error as Error).stack)} of ${JSON.stringify(schema)}`);
    return undefined;
  }
}

test("what is written under a random schema is valid", () => {
  const ajv = judge();
  let tried = 0;
  let made = 0;
  let ended = 0;
  fc.assert(
    fc.property(anySchema, fc.nat(), (schema, seed) => {
      tried++;
      const constraint = compiled(schema);
      if (!constraint) return;
      made++;
      const random = randomNumbers(seed + 1);
      const text = randomText(constraint, storyVocabulary(), random, 400);
      if (text === undefined) return;
      ended++;
      const validate = ajv.compile(schema as object);
      assert.ok(
        validate(JSON.parse(text)),
        `${text} does not fit ${JSON.stringify(schema)}: ${JSON.stringify(validate.errors)}`,
      );
    }),
    { numRuns: 120, seed: 7, includeErrorInReport: true } as object,
  );
  console.log(`${tried} schemas, ${made} compiled, ${ended} answers ended`);
  assert.ok(made > tried * 0.6, `only ${made} of ${tried} schemas could be used`);
  assert.ok(ended > made * 0.5, `only ${ended} of ${made} answers ended`);
});

test("a mask allows exactly the tokens that are allowed one by one, and every one of them can be taken", () => {
  const vocabulary = storyVocabulary();
  fc.assert(
    fc.property(anySchema, fc.nat(), (schema, seed) => {
      const constraint = compiled(schema);
      if (!constraint) return;
      const random = randomNumbers(seed + 1);
      randomText(constraint, vocabulary, random, 12, (state, allowed) => {
        const one: number[] = [];
        for (let id = 0; id < vocabulary.size; id++) if (state.allows(id)) one.push(id);
        assert.equal(allowed, one);
      });
    }),
    { numRuns: 12, seed: 11, includeErrorInReport: true } as object,
  );
});

test("masks do not depend on what was asked before", () => {
  fc.assert(
    fc.property(anySchema, fc.nat(), (schema, seed) => {
      const warm = compiled(schema);
      if (!warm) return;
      for (let i = 0; i < 3; i++) randomText(warm, storyVocabulary(), randomNumbers(seed + i), 40);
      const masks: number[][] = [];
      const text = (constraint: Constraint) =>
        randomText(constraint, storyVocabulary(), randomNumbers(seed + 99), 40, (_, allowed) => masks.push(allowed));
      text(warm);
      const first = masks.splice(0);
      text(compiled(schema)!);
      assert.equal(masks, first);
    }),
    { numRuns: 25, seed: 3 },
  );
});

test("characters cut into several tokens are put together, and never left open", () => {
  const bytes = byteVocabulary();
  const state = compileConstraint(bytes, { schema: { const: "é😀" } }).start();
  for (const byte of new TextEncoder().encode('"é😀')) state.advance(byte);
  assert.equal(tokensOf(state.mask()), [0x22]);
  const any = compileConstraint(bytes, { schema: { type: "string", maxLength: 1 } }).start();
  any.advance(0x22);
  any.advance(0xf0);
  assert.equal(
    tokensOf(any.mask()),
    Array.from({ length: 0x30 }, (_, i) => 0x90 + i),
  );
  for (const byte of [0x9f, 0x98, 0x80]) any.advance(byte);
  assert.equal(tokensOf(any.mask()), [0x22]);
  assert.not(
    compileConstraint(bytes, { schema: { type: "string" } })
      .start()
      .allows(0xc0),
  );
});

test("forced tokens are the text that has to follow, in the longest tokens", () => {
  const bytes = byteVocabulary(['"kind"', ":", '{"']);
  const schema = { type: "object", properties: { kind: { enum: ["ab", "ac"] } }, required: ["kind"] };
  const state = compileConstraint(bytes, { schema }).start();
  const text = (ids: number[]) => new TextDecoder().decode(Uint8Array.from(ids.flatMap((id) => [...bytes.bytes(id)!])));
  assert.is(text(state.forced()), "{");
  state.advance(0x7b);
  state.advance(0x20);
  assert.is(text(state.forced()), '"kind":');
  assert.is(state.forced().length, 2);
});

test("a state ends with the last character, or with a token that ends a text", () => {
  const bytes = byteVocabulary();
  const stop = bytes.stopIds[0]!;
  const list = compileConstraint(bytes, { schema: { type: "array", maxItems: 0 } }).start();
  assert.not(list.allows(stop));
  list.advance(0x5b);
  assert.not(list.ended);
  list.advance(0x5d);
  assert.ok(list.complete);
  assert.ok(list.ended);
  const number = compileConstraint(bytes, { schema: { type: "integer" } }).start();
  number.advance(0x31);
  assert.ok(number.complete);
  assert.not(number.ended);
  const copy = number.clone();
  number.advance(stop);
  assert.ok(number.ended);
  assert.not(copy.ended);
  assert.throws(() => copy.advance(0x78), /not allowed/);
  assert.ok(copy.allows(0x32));
});

test.run();
