import { matches } from "../automaton.js";
import { limits } from "../limits.js";
import type { JsonSchema } from "../types.js";
import { isMultiple } from "./decimal.js";
import { type Conjunct, inside, isObject, refuse, type SchemaDocument, typeList } from "./document.js";
import { formatOf, patternOf } from "./strings.js";

/** Whether two values of JSON are equal, whatever the order of their properties. */
export function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, i) => equal(item, b[i]));
  if (!isObject(a) || !isObject(b)) return false;
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && equal(a[name], b[name]))
  );
}

/** Whether a value fits a schema. For the values of `enum` and `const`, which have to fit what stands beside them. */
export function fits(document: SchemaDocument, value: unknown, { schema, pointer, negated }: Conjunct): boolean {
  return check(document, value, schema, pointer, 0) !== (negated === true);
}

function check(document: SchemaDocument, value: unknown, schema: JsonSchema, pointer: string, depth: number): boolean {
  if (typeof schema === "boolean") return schema;
  if (depth > limits.depth) throw refuse("The schema refers to itself without end", pointer);
  document.check(schema, pointer);
  const at = (sub: unknown, ...names: (string | number)[]) =>
    check(document, value, sub as JsonSchema, inside(pointer, ...names), depth + 1);
  const list = (name: string) =>
    ((schema[name] as unknown[] | undefined) ?? []).map((sub, i) => () => at(sub, name, i));
  if (schema.type !== undefined && !typeList(schema.type).some((type) => isOfType(value, type))) return false;
  if (schema.enum !== undefined && !(schema.enum as unknown[]).some((item) => equal(item, value))) return false;
  if (Object.hasOwn(schema, "const") && !equal(schema.const, value)) return false;
  if (schema.$ref !== undefined) {
    const target = document.resolve(schema.$ref as string, inside(pointer, "$ref"));
    if (!check(document, value, target.schema, target.pointer, depth + 1)) return false;
  }
  if (!list("allOf").every((sub) => sub())) return false;
  if (schema.anyOf && !list("anyOf").some((sub) => sub())) return false;
  if (schema.oneOf && list("oneOf").filter((sub) => sub()).length !== 1) return false;
  if (schema.not !== undefined && at(schema.not, "not")) return false;
  if (schema.if !== undefined) {
    const branch = at(schema.if, "if") ? "then" : "else";
    if (schema[branch] !== undefined && !at(schema[branch], branch)) return false;
  }
  if (typeof value === "number") return fitsNumber(value, schema);
  if (typeof value === "string") return fitsString(value, schema, pointer);
  if (Array.isArray(value)) return fitsArray(document, value, schema, pointer, depth);
  if (isObject(value)) return fitsObject(document, value, schema, pointer, depth);
  return true;
}

function isOfType(value: unknown, type: unknown): boolean {
  switch (type) {
    case "null":
      return value === null;
    case "integer":
      return Number.isInteger(value);
    case "array":
      return Array.isArray(value);
    case "object":
      return isObject(value);
    default:
      return typeof value === type;
  }
}

type Keywords = { readonly [keyword: string]: unknown };
const numberOf = (schema: Keywords, name: string, absent: number) => (schema[name] as number | undefined) ?? absent;

function fitsNumber(value: number, schema: Keywords): boolean {
  return (
    value >= numberOf(schema, "minimum", Number.NEGATIVE_INFINITY) &&
    value <= numberOf(schema, "maximum", Number.POSITIVE_INFINITY) &&
    value > numberOf(schema, "exclusiveMinimum", Number.NEGATIVE_INFINITY) &&
    value < numberOf(schema, "exclusiveMaximum", Number.POSITIVE_INFINITY) &&
    (schema.multipleOf === undefined || isMultiple(value, schema.multipleOf as number))
  );
}

function fitsString(value: string, schema: Keywords, pointer: string): boolean {
  const length = Array.from(value).length;
  return (
    length >= numberOf(schema, "minLength", 0) &&
    length <= numberOf(schema, "maxLength", Number.POSITIVE_INFINITY) &&
    (schema.pattern === undefined || matches(patternOf(schema.pattern as string, inside(pointer, "pattern")), value)) &&
    (schema.format === undefined || matches(formatOf(schema.format as string, inside(pointer, "format")), value))
  );
}

function fitsArray(
  document: SchemaDocument,
  value: unknown[],
  schema: Keywords,
  pointer: string,
  depth: number,
): boolean {
  if (value.length < numberOf(schema, "minItems", 0)) return false;
  if (value.length > numberOf(schema, "maxItems", Number.POSITIVE_INFINITY)) return false;
  if (schema.uniqueItems === true && value.some((item, i) => value.slice(0, i).some((other) => equal(item, other))))
    return false;
  const prefix = (schema.prefixItems as JsonSchema[] | undefined) ?? [];
  return value.every((item, i) => {
    if (i < prefix.length) return check(document, item, prefix[i]!, inside(pointer, "prefixItems", i), depth + 1);
    return (
      schema.items === undefined ||
      check(document, item, schema.items as JsonSchema, inside(pointer, "items"), depth + 1)
    );
  });
}

function fitsObject(
  document: SchemaDocument,
  value: Record<string, unknown>,
  schema: Keywords,
  pointer: string,
  depth: number,
): boolean {
  const names = Object.keys(value);
  if (names.length < numberOf(schema, "minProperties", 0)) return false;
  if (names.length > numberOf(schema, "maxProperties", Number.POSITIVE_INFINITY)) return false;
  if (((schema.required as string[] | undefined) ?? []).some((name) => !Object.hasOwn(value, name))) return false;
  for (const [name, needed] of Object.entries((schema.dependentRequired as Record<string, string[]> | undefined) ?? {}))
    if (Object.hasOwn(value, name) && needed.some((other) => !Object.hasOwn(value, other))) return false;
  for (const [name, sub] of Object.entries((schema.dependentSchemas as Record<string, JsonSchema> | undefined) ?? {}))
    if (
      Object.hasOwn(value, name) &&
      !check(document, value, sub, inside(pointer, "dependentSchemas", name), depth + 1)
    )
      return false;
  return names.every((name) => {
    if (
      schema.propertyNames !== undefined &&
      !check(document, name, schema.propertyNames as JsonSchema, inside(pointer, "propertyNames"), depth + 1)
    )
      return false;
    return propertySchemas(schema, pointer, name).every((sub) =>
      check(document, value[name], sub.schema, sub.pointer, depth + 1),
    );
  });
}

/** Schemas that one set of keywords has for a property. */
export function propertySchemas(schema: Keywords, pointer: string, name: string): Conjunct[] {
  const found: Conjunct[] = [];
  const properties = schema.properties as Record<string, JsonSchema> | undefined;
  if (properties && Object.hasOwn(properties, name))
    found.push({ schema: properties[name]!, pointer: inside(pointer, "properties", name) });
  for (const [pattern, sub] of Object.entries((schema.patternProperties as Record<string, JsonSchema>) ?? {})) {
    const place = inside(pointer, "patternProperties", pattern);
    if (matches(patternOf(pattern, place), name)) found.push({ schema: sub, pointer: place });
  }
  if (found.length === 0 && schema.additionalProperties !== undefined)
    found.push({
      schema: schema.additionalProperties as JsonSchema,
      pointer: inside(pointer, "additionalProperties"),
    });
  return found;
}
