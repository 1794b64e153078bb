import { OptionError } from "../../errors.js";
import { limits } from "../limits.js";
import type { JsonSchema } from "../types.js";
import {
  type Conjunct,
  inside,
  isObject,
  isTrivial,
  refuse,
  type SchemaDocument,
  type SchemaObject,
} from "./document.js";
import { type Keywords, merge } from "./merge.js";
import { numberAutomaton } from "./numbers.js";
import type { Shape } from "./shapes.js";
import { sized, stringAutomaton } from "./strings.js";
import { subtract } from "./subtract.js";
import { fits } from "./validate.js";

/** One choice of all alternatives of a list of schemas. */
interface Alternative {
  readonly keywords: readonly Keywords[];
  readonly negated: readonly Conjunct[];
}

interface Work extends Conjunct {
  readonly madeUp?: boolean;
  /** Schemas that led here without a property or an item between. */
  readonly from: readonly string[];
}

/** How deep emptiness is looked for; what lies deeper is taken not to be empty. */
const deepest = 6;

/** Finds out what a list of schemas allows together. */
export class Shapes {
  readonly document: SchemaDocument;
  readonly #known = new Map<string, readonly Shape[]>();
  #depth = 0;
  #steps = 0;

  constructor(document: SchemaDocument) {
    this.document = document;
  }

  /** A name for a list of schemas, whatever their order. */
  key(schemas: readonly Conjunct[]): string {
    const names = schemas
      .filter(({ schema, negated }) => negated || !isTrivial(schema))
      .map(({ pointer, negated }) => `${negated ? "!" : "#"}${pointer}`);
    return [...new Set(names)].sort().join("\n");
  }

  /**
   * Shapes whose union is what all these schemas allow together, or a part of it that is as good as the whole.
   * @throws OptionError when that cannot be decided
   */
  of(schemas: readonly Conjunct[]): readonly Shape[] {
    const key = this.key(schemas);
    let shapes = this.#known.get(key);
    if (!shapes) {
      if (this.#known.size >= limits.schemas)
        throw refuse(`Merging makes more than ${limits.schemas} schemas of this one`, schemas[0]?.pointer ?? "");
      shapes = this.#find(schemas);
      this.#known.set(key, shapes);
    }
    return shapes;
  }

  /** Whether it is certain that no value fits all of them. */
  isEmpty(schemas: readonly Conjunct[]): boolean {
    if (this.#depth >= deepest) return false;
    this.#depth++;
    try {
      return this.of(schemas).every((shape) => this.#isEmptyShape(shape));
    } catch (error) {
      if (error instanceof OptionError) return false;
      throw error;
    } finally {
      this.#depth--;
    }
  }

  #isEmptyShape({ values, number, string, array, object }: Shape): boolean {
    if (values.length) return false;
    if (number && sized("", () => numberAutomaton(number)).states.length) return false;
    if (string && stringAutomaton(string, "").states.length) return false;
    if (array && array.min <= array.max) {
      const needed = array.prefix.slice(0, array.min);
      if (array.min > array.prefix.length) needed.push(array.rest);
      if (!needed.some((item) => this.isEmpty(item))) return false;
    }
    if (object && object.min <= object.max) {
      const needed = [...object.properties.values()].filter(({ required }) => required);
      if (!needed.some((property) => this.isEmpty(property.schemas))) return false;
    }
    return true;
  }

  #find(schemas: readonly Conjunct[]): Shape[] {
    const found: Shape[] = [];
    const isEmpty = (some: readonly Conjunct[]) => this.isEmpty(some);
    for (const { keywords, negated } of this.#alternatives(schemas)) {
      const merged = merge(keywords);
      const values = merged.values.filter((value) => schemas.every((schema) => fits(this.document, value, schema)));
      let shapes: Shape[] = [{ ...merged, values }];
      for (const { schema, pointer } of negated) {
        const excluded = this.of([{ schema, pointer }]);
        for (const each of excluded) shapes = shapes.flatMap((shape) => subtract(isEmpty, shape, each, pointer));
      }
      found.push(...shapes);
    }
    return found;
  }

  #alternatives(schemas: readonly Conjunct[]): Alternative[] {
    const out: Alternative[] = [];
    const start = schemas.map((schema): Work => ({ ...schema, from: [] }));
    this.#expand(start.reverse(), [], [], [], new Set(), out);
    return out;
  }

  /** @param work schemas still to be looked at, the next one last */
  #expand(
    work: Work[],
    branches: readonly Work[][][],
    keywords: readonly Keywords[],
    negated: readonly Conjunct[],
    seen: ReadonlySet<string>,
    out: Alternative[],
  ): void {
    const found = [...keywords];
    const excluded = [...negated];
    const visited = new Set(seen);
    const open = [...branches];
    for (let item = work.pop(); item !== undefined; item = work.pop()) {
      const { schema, pointer } = item;
      if (++this.#steps > limits.automatonWork)
        throw refuse("The schema takes too many steps to be understood", pointer);
      if (item.negated) {
        if (isTrivial(schema)) return;
        if (schema === false) continue;
        const inner = doubleNegation(schema);
        if (inner === undefined) excluded.push({ schema, pointer });
        else work.push({ ...item, schema: inner, pointer: inside(pointer, "not"), negated: false });
        continue;
      }
      if (schema === false) return;
      if (item.from.includes(pointer)) throw refuse("The schema refers to itself without end", pointer);
      if (schema === true || visited.has(pointer)) continue;
      visited.add(pointer);
      this.document.check(schema, pointer);
      found.push({ schema, pointer, ...(item.madeUp ? { madeUp: true } : {}) });
      this.#children(schema, pointer, [...item.from, pointer], work, open);
    }
    const [next, ...rest] = open;
    if (!next) {
      if (out.length >= limits.alternatives)
        throw refuse(`The alternatives multiply to more than ${limits.alternatives}`, keywords[0]?.pointer ?? "");
      out.push({ keywords: found, negated: excluded });
      return;
    }
    for (const choice of next) this.#expand([...choice].reverse(), rest, found, excluded, visited, out);
  }

  /** The schemas a schema is combined of: those that hold go to `work`, sets of alternatives to `branches`. */
  #children(schema: SchemaObject, pointer: string, from: string[], work: Work[], branches: Work[][][]): void {
    const part = (sub: unknown, names: (string | number)[], more: Partial<Work> = {}): Work => ({
      schema: sub as JsonSchema,
      pointer: inside(pointer, ...names),
      from,
      ...more,
    });
    if (schema.$ref !== undefined)
      work.push({ ...this.document.resolve(schema.$ref as string, inside(pointer, "$ref")), from });
    const list = (name: string) => (schema[name] as JsonSchema[] | undefined) ?? [];
    for (const [i, sub] of list("allOf").entries()) work.push(part(sub, ["allOf", i]));
    if (schema.not !== undefined) work.push(part(schema.not, ["not"], { negated: true }));
    if (schema.anyOf) branches.push(list("anyOf").map((sub, i) => [part(sub, ["anyOf", i])]));
    const one = list("oneOf");
    if (schema.oneOf)
      branches.push(one.map((_, i) => one.map((sub, j) => part(sub, ["oneOf", j], { negated: j !== i }))));
    if (schema.if !== undefined && (schema.then !== undefined || schema.else !== undefined))
      branches.push([
        [part(schema.if, ["if"]), part(schema.then ?? true, ["then"])],
        [part(schema.if, ["if"], { negated: true }), part(schema.else ?? true, ["else"])],
      ]);
    const dependent = (name: string, trigger: string, then: Work[]) =>
      branches.push([
        [part({ properties: { [trigger]: false } }, [name, trigger, "absent"], { madeUp: true })],
        [part({ required: [trigger] }, [name, trigger, "present"], { madeUp: true }), ...then],
      ]);
    for (const [trigger, needed] of entries(schema.dependentRequired))
      dependent("dependentRequired", trigger, [
        part({ required: needed }, ["dependentRequired", trigger, "needed"], { madeUp: true }),
      ]);
    for (const [trigger, sub] of entries(schema.dependentSchemas))
      dependent("dependentSchemas", trigger, [part(sub, ["dependentSchemas", trigger])]);
  }
}

function entries(value: unknown): [string, unknown][] {
  return isObject(value) ? Object.entries(value) : [];
}

/** What is left of a schema that says only `not`, when it is negated. */
function doubleNegation(schema: JsonSchema): JsonSchema | undefined {
  if (typeof schema === "boolean" || Object.keys(schema).length !== 1) return undefined;
  return schema.not as JsonSchema | undefined;
}
