const object = (properties, rest = {}) => ({
  type: "object",
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
  ...rest,
});

/** Schemas that all engines know, and expressions and grammars. */
export const cases = {
  "an object of scalars": {
    schema: object({ name: { type: "string" }, age: { type: "integer" }, ok: { type: "boolean" } }),
  },
  "a nested object": { schema: object({ a: object({ b: object({ c: { type: "null" } }) }) }) },
  "optional properties": { schema: object({ a: { type: "boolean" }, b: { type: "null" } }, { required: ["a"] }) },
  "a list of booleans": { schema: { type: "array", items: { type: "boolean" } } },
  "a list of two to three": { schema: { type: "array", items: { enum: ["ab", "cd"] }, minItems: 2, maxItems: 3 } },
  "a tuple": {
    schema: { type: "array", prefixItems: [{ type: "boolean" }, { enum: ["x"] }], items: false, minItems: 2 },
  },
  "an enumeration": { schema: { enum: ["red", "green", "blue", 12, true, null] } },
  "a constant": { schema: { const: "name" } },
  "a string": { schema: { type: "string" } },
  "a short string": { schema: { type: "string", minLength: 2, maxLength: 4 } },
  "a number": { schema: { type: "number" } },
  "a whole number": { schema: { type: "integer" } },
  "a range of whole numbers": { schema: { type: "integer", minimum: 3, maximum: 129 } },
  "a choice of types": {
    schema: { anyOf: [{ type: "boolean" }, { type: "null" }, object({ a: { enum: ["x", "y"] } })] },
  },
  "a list of objects": { schema: { type: "array", items: object({ name: { enum: ["ab", "abc"] } }), maxItems: 3 } },
  "a tree": {
    schema: {
      $ref: "#/$defs/tree",
      $defs: {
        tree: object({ name: { enum: ["ab"] }, next: { anyOf: [{ $ref: "#/$defs/tree" }, { type: "null" }] } }),
      },
    },
  },
  "an expression of digits": { regex: "[0-9]{4}-[0-9]{2}" },
  "an expression of alternatives": { regex: "(ab|abc|日本)+(true|false)?" },
  "an expression with classes": { regex: '[a-c]?[^a-z"]{1,3}é*' },
  "a grammar of arithmetic": { grammar: 'root ::= term ([-+] term)*\nterm ::= [0-9]+ | "(" root ")"' },
  "a grammar of words": { grammar: 'root ::= (word " "){1,3} "."\nword ::= "ab" | "name" | [x-z]+' },
  "a grammar of lists": {
    grammar: 'root ::= "[" (item ("," item)*)? "]"\nitem ::= "true" | root | "\\"" [^"\\\\\\n]* "\\""',
  },
};
