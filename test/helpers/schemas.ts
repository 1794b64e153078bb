import fc from "fast-check";
import type { JsonSchema } from "#src/constraints/types.js";

const name = fc.constantFrom("a", "b", "name", "é", 'q"\\', "x y");
const bound = fc.oneof(
  fc.integer({ min: -50, max: 50 }),
  fc.integer({ min: -500, max: 500 }).map((n) => n / 10),
  fc.constantFrom(0.1, -0.05, 1e3, 99999, 2 ** 53, -1e-7),
);
const patterns = [
  "^[a-z]{2,5}$",
  "[0-9]",
  "^(foo|bar)+$",
  "^\\w+@x\\.de$",
  '^[^"]*$',
  "^é?[\\s\\S]{0,4}$",
  "ab|cd$",
  "^\\p{L}+$",
];
const formats = [
  "date",
  "time",
  "date-time",
  "uuid",
  "email",
  "ipv4",
  "ipv6",
  "hostname",
  "uri",
  "duration",
  "json-pointer",
];
const scalar = fc.constantFrom<unknown>(null, true, false, 0, 1, -3, 2.5, "", "a", "tree", "日本", 'say "hi"\n', 1e21);

/** Two numbers in order, some of them left out. */
const between = (low: string, high: string, value: fc.Arbitrary<number>) =>
  fc.tuple(value, value, fc.boolean(), fc.boolean()).map(([a, b, hasLow, hasHigh]) => ({
    ...(hasLow ? { [low]: Math.min(a, b) } : {}),
    ...(hasHigh ? { [high]: Math.max(a, b) } : {}),
  }));
const small = fc.integer({ min: 0, max: 4 });

const leaves: fc.Arbitrary<JsonSchema> = fc.oneof(
  fc.constantFrom<JsonSchema>(
    { type: "null" },
    { type: "boolean" },
    { type: "integer" },
    { type: "number" },
    { type: "string" },
    { type: ["string", "null"] },
  ),
  fc.array(scalar, { minLength: 1, maxLength: 4 }).map((values) => ({ enum: values })),
  scalar.map((value) => ({ const: value })),
  between("minimum", "maximum", bound).map((range) => ({ type: "number", ...range })),
  between("exclusiveMinimum", "exclusiveMaximum", bound).map((range) => ({ type: "number", ...range })),
  between("minimum", "exclusiveMaximum", bound).map((range) => ({ type: "integer", ...range })),
  fc
    .tuple(between("minimum", "maximum", bound), fc.constantFrom(1, 3, 7, 10, 0.5, 0.25, 0.1, 1.5))
    .map(([range, multipleOf]) => ({ type: "number", multipleOf, ...range })),
  between("minLength", "maxLength", fc.integer({ min: 0, max: 12 })).map((range) => ({ type: "string", ...range })),
  fc.constantFrom(...patterns).map((pattern) => ({ type: "string", pattern })),
  fc
    .tuple(fc.constantFrom(...patterns), between("minLength", "maxLength", fc.integer({ min: 0, max: 9 })))
    .map(([pattern, range]) => ({ type: "string", pattern, ...range })),
  fc.constantFrom(...formats).map((format) => ({ type: "string", format })),
);

/** Schemas of the supported profile. Some of them allow no value, and some cannot be decided. */
export const anySchema: fc.Arbitrary<JsonSchema> = fc
  .letrec<{ schema: JsonSchema }>((tie) => {
    const sub = tie("schema");
    const named = fc.dictionary(name, sub, { maxKeys: 4 });
    const object = fc
      .record(
        {
          properties: named,
          required: fc.uniqueArray(name, { maxLength: 2 }),
          additionalProperties: fc.oneof(fc.boolean(), sub),
          patternProperties: fc.dictionary(fc.constantFrom("^x", "[0-9]$", "a"), sub, { maxKeys: 2 }),
          minProperties: fc.integer({ min: 0, max: 2 }),
          maxProperties: fc.integer({ min: 1, max: 4 }),
          propertyNames: fc.constantFrom<JsonSchema>(
            { maxLength: 5 },
            { pattern: "^[a-z]+$" },
            { enum: ["a", "b", "name"] },
          ),
          dependentRequired: fc.constant({ a: ["b"] }),
        },
        { requiredKeys: ["properties"] },
      )
      .map((keywords) => ({ type: "object", ...keywords }));
    const array = fc
      .tuple(
        fc.record({ items: sub, prefixItems: fc.array(sub, { minLength: 1, maxLength: 3 }) }, { requiredKeys: [] }),
        between("minItems", "maxItems", small),
      )
      .map(([keywords, range]) => ({ type: "array", ...keywords, ...range }));
    return {
      schema: fc.oneof(
        { depthSize: "small", maxDepth: 3, withCrossShrink: true },
        { weight: 6, arbitrary: leaves },
        { weight: 4, arbitrary: object },
        { weight: 2, arbitrary: array },
        { weight: 1, arbitrary: fc.array(sub, { minLength: 1, maxLength: 3 }).map((anyOf) => ({ anyOf })) },
        { weight: 1, arbitrary: fc.array(leaves, { minLength: 1, maxLength: 3 }).map((oneOf) => ({ oneOf })) },
        { weight: 1, arbitrary: fc.tuple(object, object).map((allOf) => ({ allOf })) },
        { weight: 1, arbitrary: fc.tuple(leaves, leaves).map(([schema, not]) => ({ allOf: [schema], not })) },
        {
          weight: 1,
          arbitrary: fc.tuple(object, named, named).map(([all, then, other]) => ({
            ...all,
            if: { properties: { a: { type: "null" } }, required: ["a"] },
            // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
            then: { properties: then },
            else: { properties: other },
          })),
        },
        { weight: 1, arbitrary: fc.constant<JsonSchema>({ $ref: "#/$defs/tree" }) },
      ),
    };
  })
  .schema.map((schema) =>
    JSON.stringify(schema).includes('"#/$defs/tree"')
      ? {
          allOf: [schema],
          $defs: {
            tree: {
              type: "object",
              properties: {
                value: { type: "integer", minimum: 0, maximum: 9 },
                next: { anyOf: [{ $ref: "#/$defs/tree" }, { type: "null" }] },
              },
              required: ["value", "next"],
              additionalProperties: false,
            },
          },
        }
      : schema,
  );
