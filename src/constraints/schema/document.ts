import { OptionError } from "../../errors.js";
import { limits } from "../limits.js";
import type { JsonSchema } from "../types.js";

export type SchemaObject = { readonly [keyword: string]: unknown };

/** One schema that a value has to fit, or with `negated` must not fit, and where it stands in the document. */
export interface Conjunct {
  readonly schema: JsonSchema;
  readonly pointer: string;
  readonly negated?: boolean;
}

/** Keywords that say something about values, all supported, with the type each has to have. */
const keywords: Record<string, (value: unknown) => boolean> = {
  type: (value) => typeList(value).every((type) => typeof type === "string" && types.has(type)),
  enum: (value) => Array.isArray(value),
  const: () => true,
  minimum: Number.isFinite as (value: unknown) => boolean,
  maximum: Number.isFinite as (value: unknown) => boolean,
  exclusiveMinimum: Number.isFinite as (value: unknown) => boolean,
  exclusiveMaximum: Number.isFinite as (value: unknown) => boolean,
  multipleOf: (value) => typeof value === "number" && Number.isFinite(value) && value > 0,
  minLength: isCount,
  maxLength: isCount,
  pattern: (value) => typeof value === "string",
  format: (value) => typeof value === "string",
  minItems: isCount,
  maxItems: isCount,
  uniqueItems: (value) => typeof value === "boolean",
  items: isSchema,
  prefixItems: (value) => Array.isArray(value) && value.every(isSchema),
  minProperties: isCount,
  maxProperties: isCount,
  properties: isSchemaMap,
  patternProperties: isSchemaMap,
  additionalProperties: isSchema,
  propertyNames: isSchema,
  required: isNameList,
  dependentRequired: (value) => isObject(value) && Object.values(value).every(isNameList),
  dependentSchemas: isSchemaMap,
  allOf: isSchemaList,
  anyOf: isSchemaList,
  oneOf: isSchemaList,
  not: isSchema,
  if: isSchema,
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
  then: isSchema,
  else: isSchema,
  $ref: (value) => typeof value === "string",
  $defs: isSchemaMap,
  definitions: isSchemaMap,
};

/** Keywords that say nothing about values. */
const annotations = new Set(
  "$schema $id $anchor $comment $vocabulary title description default examples deprecated readOnly writeOnly contentMediaType contentEncoding contentSchema".split(
    " ",
  ),
);

/** In the keywords that are supported, earlier drafts mean the same. */
const drafts = /^https?:\/\/json-schema\.org\/(draft\/(2020-12|2019-09)|draft-0[67])\/schema#?$/;

/** Keywords whose values are no schemas. */
const plainValues = new Set(["const", "enum", "default", "examples"]);

const types = new Set(["null", "boolean", "integer", "number", "string", "array", "object"]);

/** `type` as a list. */
export function typeList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value];
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSchema(value: unknown): boolean {
  return typeof value === "boolean" || isObject(value);
}

function isSchemaList(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(isSchema);
}

function isSchemaMap(value: unknown): boolean {
  return isObject(value) && Object.values(value).every(isSchema);
}

function isNameList(value: unknown): boolean {
  return Array.isArray(value) && value.every((name) => typeof name === "string");
}

function isCount(value: unknown): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= 0;
}

/** An error at a place in the schema. */
export function refuse(what: string, pointer: string, hint?: string): OptionError {
  return new OptionError(what, { key: `schema${pointer === "" ? "" : `#${pointer}`}` }, hint);
}

/** The pointer to a part of a schema. */
export function inside(pointer: string, ...names: (string | number)[]): string {
  return pointer + names.map((name) => `/${String(name).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

/** A schema with what is needed to find its parts. */
export class SchemaDocument {
  readonly root: Conjunct;
  readonly #anchors = new Map<string, Conjunct>();
  readonly #base: string;
  readonly #checked = new Set<string>();

  /** @throws OptionError when it is no schema, has a keyword that is not supported, or is too deep */
  constructor(schema: JsonSchema) {
    if (!isSchema(schema)) throw refuse("A schema is an object, true or false", "");
    this.root = { schema, pointer: "" };
    const draft = isObject(schema) ? schema.$schema : undefined;
    if (draft !== undefined && !(typeof draft === "string" && drafts.test(draft)))
      throw refuse(`The dialect ${JSON.stringify(draft)} is not supported`, "/$schema", "Supported is 2020-12");
    this.#base = isObject(schema) && typeof schema.$id === "string" ? schema.$id.replace(/#$/, "") : "";
    this.#findAnchors(schema, "", 0);
  }

  /** What `$ref` means. */
  resolve(reference: string, pointer: string): Conjunct {
    const own =
      this.#base !== "" && reference.startsWith(`${this.#base}#`) ? reference.slice(this.#base.length) : reference;
    if (own === "#" || (this.#base !== "" && own === this.#base)) return this.root;
    if (!own.startsWith("#"))
      throw refuse(`The reference "${reference}" leads out of the schema`, pointer, "Put what it means under $defs");
    let fragment: string;
    try {
      fragment = decodeURIComponent(own.slice(1));
    } catch {
      throw refuse(`The reference "${reference}" is damaged`, pointer);
    }
    const found = fragment.startsWith("/") ? this.#at(fragment) : this.#anchors.get(fragment);
    if (!found) throw refuse(`The reference "${reference}" leads nowhere`, pointer);
    return found;
  }

  /** Looks whether every keyword of one schema is supported and has a value of its type. */
  check(schema: SchemaObject, pointer: string): void {
    if (this.#checked.has(pointer)) return;
    for (const [name, value] of Object.entries(schema)) {
      if (annotations.has(name) || name.startsWith("x-")) continue;
      const allowed = Object.hasOwn(keywords, name) ? keywords[name] : undefined;
      if (!allowed)
        throw refuse(
          `The keyword "${name}" is not supported`,
          inside(pointer, name),
          "Leave it out, or say it otherwise",
        );
      if (!allowed(value))
        throw refuse(`The value of "${name}" is not of the kind it has to be`, inside(pointer, name));
    }
    if (pointer !== "" && typeof schema.$id === "string")
      throw refuse('"$id" inside a schema is not supported', inside(pointer, "$id"));
    this.#checked.add(pointer);
    // Read without being merged with others, so nobody else looks at it.
    if (isObject(schema.propertyNames)) this.check(schema.propertyNames, inside(pointer, "propertyNames"));
  }

  #at(path: string): Conjunct | undefined {
    let at: unknown = this.root.schema;
    for (const part of path.slice(1).split("/")) {
      const name = part.replaceAll("~1", "/").replaceAll("~0", "~");
      if (Array.isArray(at) && /^\d+$/.test(name)) at = at[Number(name)];
      else if (isObject(at) && Object.hasOwn(at, name)) at = at[name];
      else return undefined;
    }
    return isSchema(at) ? { schema: at as JsonSchema, pointer: path } : undefined;
  }

  #findAnchors(value: unknown, pointer: string, depth: number): void {
    if (depth > limits.depth) throw refuse(`The schema is more than ${limits.depth} levels deep`, "");
    if (Array.isArray(value)) {
      for (const [i, item] of value.entries()) this.#findAnchors(item, inside(pointer, i), depth + 1);
    } else if (isObject(value)) {
      if (typeof value.$anchor === "string")
        this.#anchors.set(value.$anchor, { schema: value as SchemaObject, pointer });
      for (const [name, item] of Object.entries(value))
        if (!plainValues.has(name)) this.#findAnchors(item, inside(pointer, name), depth + 1);
    }
  }
}

/** Whether a schema says nothing. */
export function isTrivial(schema: JsonSchema): boolean {
  return schema === true || (typeof schema === "object" && Object.keys(schema).length === 0);
}
