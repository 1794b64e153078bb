import { type Automaton, complement, intersect, literals, matches, withLength } from "../automaton.js";
import { limits } from "../limits.js";
import type { JsonSchema } from "../types.js";
import { type Conjunct, inside, refuse, type SchemaObject, typeList } from "./document.js";
import type { Bound, NumberShape } from "./numbers.js";
import type { ArrayShape, ObjectShape, OtherProperties, PropertyShape, Shape } from "./shapes.js";
import { anyString, formatOf, patternOf, type StringShape, sized } from "./strings.js";
import { equal, propertySchemas } from "./validate.js";

/** Keywords of one schema object, without those that combine schemas. */
export interface Keywords {
  readonly schema: SchemaObject;
  readonly pointer: string;
  /** Made up while merging, so that it says nothing about properties it does not name. */
  readonly madeUp?: boolean;
}

/** What all of these allow together. `values` still have to be tried against the schemas. */
export function merge(all: readonly Keywords[]): Shape {
  const listed = listedValues(all);
  if (listed) return { values: listed };
  const types = allowedTypes(all);
  const values: unknown[] = [];
  if (types.has("null")) values.push(null);
  if (types.has("boolean")) values.push(true, false);
  return {
    values,
    number: types.has("number") || types.has("integer") ? mergeNumbers(all, !types.has("number")) : undefined,
    string: types.has("string") ? mergeStrings(all) : undefined,
    array: types.has("array") ? mergeArrays(all) : undefined,
    object: types.has("object") ? mergeObjects(all) : undefined,
  };
}

function listedValues(all: readonly Keywords[]): unknown[] | undefined {
  let values: unknown[] | undefined;
  for (const { schema } of all)
    for (const list of [
      schema.enum as unknown[] | undefined,
      Object.hasOwn(schema, "const") ? [schema.const] : undefined,
    ])
      if (list) {
        const found = values ? values.filter((value) => list.some((item) => equal(item, value))) : list;
        values = found;
      }
  return values?.filter((value, i) => !values.slice(0, i).some((earlier) => equal(earlier, value)));
}

/** `integer` alone means whole numbers, `number` (which comes with `integer`) any. */
function allowedTypes(all: readonly Keywords[]): Set<unknown> {
  let types = new Set<unknown>(["null", "boolean", "integer", "number", "string", "array", "object"]);
  for (const { schema } of all) {
    if (schema.type === undefined) continue;
    const list = typeList(schema.type);
    const own = new Set(list.includes("number") ? [...list, "integer"] : list);
    types = new Set([...types].filter((type) => own.has(type)));
  }
  return types;
}

const tighter = (a: Bound | undefined, b: Bound, sign: 1 | -1): Bound => {
  if (!a || (b.value - a.value) * sign > 0) return b;
  return a.value === b.value && b.exclusive ? b : a;
};

function mergeNumbers(all: readonly Keywords[], integer: boolean): NumberShape {
  let low: Bound | undefined;
  let high: Bound | undefined;
  const multiples = new Set<number>();
  for (const { schema } of all) {
    for (const [name, exclusive] of [
      ["minimum", false],
      ["exclusiveMinimum", true],
    ] as const)
      if (schema[name] !== undefined) low = tighter(low, { value: schema[name] as number, exclusive }, 1);
    for (const [name, exclusive] of [
      ["maximum", false],
      ["exclusiveMaximum", true],
    ] as const)
      if (schema[name] !== undefined) high = tighter(high, { value: schema[name] as number, exclusive }, -1);
    if (schema.multipleOf !== undefined) multiples.add(schema.multipleOf as number);
  }
  return { integer, low, high, multiples: [...multiples].sort((a, b) => a - b) };
}

function extremes(all: readonly Keywords[], min: string, max: string): { min: number; max: number } {
  return {
    min: Math.max(0, ...all.map(({ schema }) => (schema[min] as number | undefined) ?? 0)),
    max: Math.min(...all.map(({ schema }) => (schema[max] as number | undefined) ?? Number.POSITIVE_INFINITY)),
  };
}

function mergeStrings(all: readonly Keywords[]): StringShape {
  const automata = new Set<Automaton>();
  for (const { schema, pointer } of all) {
    if (schema.pattern !== undefined) automata.add(patternOf(schema.pattern as string, inside(pointer, "pattern")));
    if (schema.format !== undefined) automata.add(formatOf(schema.format as string, inside(pointer, "format")));
  }
  return { ...extremes(all, "minLength", "maxLength"), automata: [...automata] };
}

function mergeArrays(all: readonly Keywords[]): ArrayShape {
  const { min, max } = extremes(all, "minItems", "maxItems");
  const prefixOf = ({ schema }: Keywords) => (schema.prefixItems as JsonSchema[] | undefined) ?? [];
  const itemsOf = ({ schema, pointer }: Keywords): Conjunct[] =>
    schema.items === undefined ? [] : [{ schema: schema.items as JsonSchema, pointer: inside(pointer, "items") }];
  const length = Math.max(0, ...all.map((keywords) => prefixOf(keywords).length));
  if (length > limits.properties) throw refuse(`A prefix has more than ${limits.properties} items`, all[0]!.pointer);
  const prefix = Array.from({ length }, (_, i) =>
    all.flatMap((keywords) => {
      const own = prefixOf(keywords);
      return i < own.length
        ? [{ schema: own[i]!, pointer: inside(keywords.pointer, "prefixItems", i) }]
        : itemsOf(keywords);
    }),
  );
  const rest = all.flatMap(itemsOf);
  // Of items after a prefix that nobody speaks of, only as many are written as have to be.
  const written = length > 0 && rest.length === 0 ? Math.min(max, Math.max(min, length)) : max;
  return { prefix, rest, min, max, written, unique: all.some(({ schema }) => schema.uniqueItems === true) };
}

/** Most patterns of property names in one object: their combinations are tried. */
const mostPatterns = 6;

function mergeObjects(all: readonly Keywords[]): ObjectShape {
  const names = new Set<string>();
  const required = new Set<string>();
  for (const { schema } of all) {
    for (const name of Object.keys((schema.properties as object | undefined) ?? {})) names.add(name);
    for (const name of (schema.required as string[] | undefined) ?? []) required.add(name);
  }
  for (const name of required) names.add(name);
  if (names.size > limits.properties)
    throw refuse(`An object has more than ${limits.properties} properties`, all[0]?.pointer ?? "");
  const properties = new Map<string, PropertyShape>();
  for (const name of names) {
    const schemas = all.flatMap(({ schema, pointer }) => propertySchemas(schema, pointer, name));
    schemas.push(...nameSchemas(all, name));
    properties.set(name, { schemas, required: required.has(name) });
  }
  return { properties, others: otherProperties(all, [...names]), ...extremes(all, "minProperties", "maxProperties") };
}

/** `false` when a name is against `propertyNames`. */
function nameSchemas(all: readonly Keywords[], name: string): Conjunct[] {
  return all
    .filter(({ schema, pointer }) => schema.propertyNames !== undefined && !matches(namesOf(schema, pointer), name))
    .map(({ pointer }) => ({ schema: false, pointer: inside(pointer, "propertyNames") }));
}

/** The names `propertyNames` allows; of its keywords those of strings are supported. */
function namesOf(schema: SchemaObject, pointer: string): Automaton {
  const place = inside(pointer, "propertyNames");
  const names = schema.propertyNames as JsonSchema;
  if (names === true) return anyString;
  if (names === false) return { states: [] };
  const known = new Set([
    "type",
    "pattern",
    "format",
    "minLength",
    "maxLength",
    "enum",
    "const",
    "title",
    "description",
  ]);
  const other = Object.keys(names).find((name) => !known.has(name));
  if (other) throw refuse(`The keyword "${other}" is not supported for names of properties`, inside(place, other));
  const shape = merge([{ schema: names, pointer: place }]);
  if (names.enum !== undefined || Object.hasOwn(names, "const"))
    return literals(shape.values.filter((value) => typeof value === "string"));
  if (!shape.string) return { states: [] };
  const { automata, min, max } = shape.string;
  return sized(place, () => withLength(automata.reduce(intersect, anyString), min, max));
}

function otherProperties(all: readonly Keywords[], listed: readonly string[]): OtherProperties[] {
  const pointer = all[0]?.pointer ?? "";
  const patterns = new Map<string, Automaton>();
  for (const { schema, pointer: place } of all)
    for (const pattern of Object.keys((schema.patternProperties as object | undefined) ?? {}))
      patterns.set(pattern, patternOf(pattern, inside(place, "patternProperties", pattern)));
  if (patterns.size > mostPatterns)
    throw refuse(`More than ${mostPatterns} patterns of property names in one object are not supported`, pointer);
  const speaking = all.filter(({ madeUp }) => !madeUp);
  const closed = speaking.some(
    ({ schema }) => schema.properties !== undefined || schema.patternProperties !== undefined,
  );
  const opened = speaking.some(({ schema }) => schema.additionalProperties !== undefined);
  return sized(pointer, () => {
    let free = listed.length ? complement(literals(listed)) : anyString;
    for (const { schema, pointer: place } of all)
      if (schema.propertyNames !== undefined) free = intersect(free, namesOf(schema, place));
    const others: OtherProperties[] = [];
    const split = (names: Automaton, left: readonly [string, Automaton][], matched: ReadonlySet<string>): void => {
      if (names.states.length === 0) return;
      const [first, ...rest] = left;
      if (first) {
        split(intersect(names, first[1]), rest, new Set([...matched, first[0]]));
        split(intersect(names, complement(first[1])), rest, matched);
        return;
      }
      const schemas = all.flatMap(({ schema, pointer: place }): Conjunct[] => {
        const own = Object.entries((schema.patternProperties as Record<string, JsonSchema> | undefined) ?? {})
          .filter(([pattern]) => matched.has(pattern))
          .map(([pattern, sub]) => ({ schema: sub, pointer: inside(place, "patternProperties", pattern) }));
        if (own.length || schema.additionalProperties === undefined) return own;
        return [{ schema: schema.additionalProperties as JsonSchema, pointer: inside(place, "additionalProperties") }];
      });
      if (schemas.some(({ schema }) => schema === false)) return;
      others.push({ names, schemas, silent: closed && !opened && matched.size === 0 });
    };
    split(free, [...patterns], new Set());
    return others;
  });
}
