import { complement, intersect, literals, matches } from "../automaton.js";
import { type Conjunct, isObject, isTrivial, refuse } from "./document.js";
import type { Bound, NumberShape } from "./numbers.js";
import type { ArrayShape, IsEmpty, ObjectShape, Shape } from "./shapes.js";
import { type StringShape, sized, stringAutomaton } from "./strings.js";

/**
 * What `shape` allows and `excluded` does not, as shapes; for `not`, `oneOf` and `else`. Single values of `shape` are left
 * alone: they were tried against the schemas themselves.
 * @throws OptionError when it cannot be decided
 */
export function subtract(isEmpty: IsEmpty, shape: Shape, excluded: Shape, pointer: string): Shape[] {
  const result: Shape[] = [];
  if (shape.values.length) result.push({ values: shape.values });
  const add = <Kind extends keyof Shape>(kind: Kind, parts: NonNullable<Shape[Kind]>[]) => {
    for (const part of parts) result.push({ values: [], [kind]: part });
  };
  const undecided = (kind: string) =>
    refuse(
      `It cannot be decided which ${kind} this leaves out`,
      pointer,
      "Write the alternatives so that they differ in the value of one property, in type or in range",
    );
  const single = excluded.values;
  if (shape.string) add("string", subtractStrings(shape.string, excluded.string, single.filter(isString), pointer));
  if (shape.number) {
    let parts = excluded.number
      ? subtractNumbers(shape.number, excluded.number, () => undecided("numbers"))
      : [shape.number];
    for (const value of single)
      if (typeof value === "number") {
        const bound = { value, exclusive: false };
        const point: NumberShape = { integer: false, low: bound, high: bound, multiples: [] };
        parts = parts.flatMap((part) => (part.integer && !Number.isInteger(value) ? [part] : split(part, point)));
      }
    add("number", parts);
  }
  if (shape.array) {
    if (single.some((value) => Array.isArray(value) && canBeLong(shape.array!, value.length)))
      throw undecided("arrays");
    const kept = !excluded.array || areDisjointArrays(isEmpty, shape.array, excluded.array);
    if (kept) add("array", [shape.array]);
    else if (!allowsAllArrays(excluded.array!)) throw undecided("arrays");
  }
  if (shape.object) {
    if (single.some((value) => isObject(value) && canHave(shape.object!, value))) throw undecided("objects");
    add(
      "object",
      excluded.object
        ? subtractObjects(isEmpty, shape.object, excluded.object, () => undecided("objects"))
        : [shape.object],
    );
  }
  return result;
}

const isString = (value: unknown): value is string => typeof value === "string";

function subtractStrings(
  shape: StringShape,
  excluded: StringShape | undefined,
  single: readonly string[],
  pointer: string,
): StringShape[] {
  let { automata } = shape;
  if (excluded) {
    const { min, max } = excluded;
    if (excluded.automata.length === 0 && min === 0 && max === Number.POSITIVE_INFINITY) return [];
    automata = [...automata, sized(pointer, () => complement(stringAutomaton(excluded, pointer)))];
  }
  if (single.length) automata = [...automata, sized(pointer, () => complement(literals(single)))];
  return [{ ...shape, automata }];
}

function subtractNumbers(shape: NumberShape, excluded: NumberShape, undecided: () => Error): NumberShape[] {
  const kept = split(shape, { ...excluded, integer: false, multiples: [] });
  const cut = kept.length !== 1 || kept[0]!.low !== shape.low || kept[0]!.high !== shape.high;
  if (!cut) return kept;
  if (excluded.broken) {
    if (!shape.integer) throw undecided();
    return [shape];
  }
  if (excluded.multiples.length) throw undecided();
  // Without the whole numbers of the range, those between them are left.
  if (excluded.integer && !shape.integer) kept.push({ ...shape, broken: true });
  return kept;
}

/** The parts of a range below and above another. */
function split(shape: NumberShape, { low, high }: NumberShape): NumberShape[] {
  if ((low && shape.high && apart(shape.high, low)) || (high && shape.low && apart(high, shape.low))) return [shape];
  const parts: NumberShape[] = [];
  const turn = ({ value, exclusive }: Bound): Bound => ({ value, exclusive: !exclusive });
  if (low) parts.push({ ...shape, high: turn(low) });
  if (high) parts.push({ ...shape, low: turn(high) });
  return parts.filter((part) => !part.low || !part.high || !apart(part.high, part.low));
}

/** Whether the range that ends at `high` lies wholly below the one that begins at `low`. */
function apart(high: Bound, low: Bound): boolean {
  return high.value < low.value || (high.value === low.value && (high.exclusive || low.exclusive));
}

function canBeLong({ min, max }: ArrayShape, length: number): boolean {
  return length >= min && length <= max;
}

function areDisjointArrays(isEmpty: IsEmpty, a: ArrayShape, b: ArrayShape): boolean {
  if (a.min > b.max || b.min > a.written) return true;
  const both = Math.max(a.min, b.min);
  const at = ({ prefix, rest }: ArrayShape, i: number) => prefix[i] ?? rest;
  for (let i = 0; i < both && i <= Math.max(a.prefix.length, b.prefix.length); i++)
    if (isEmpty([...at(a, i), ...at(b, i)])) return true;
  return false;
}

function allowsAllArrays({ prefix, rest, min, max, unique }: ArrayShape): boolean {
  return [...prefix.flat(), ...rest].every(says0) && min === 0 && max === Number.POSITIVE_INFINITY && !unique;
}

const says0 = ({ schema, negated }: Conjunct) => !negated && isTrivial(schema);

/** Whether an object with exactly these properties may be written. */
function canHave(shape: ObjectShape, value: Record<string, unknown>): boolean {
  for (const [name, { required }] of shape.properties) if (required && !Object.hasOwn(value, name)) return false;
  return Object.keys(value).every((name) => schemasOf(shape, name, false) !== undefined);
}

/** What a property has to fit; undefined when it cannot occur, or (unless `silent`) is not written. */
function schemasOf(
  { properties, others }: ObjectShape,
  name: string,
  silent: boolean,
): readonly Conjunct[] | undefined {
  const listed = properties.get(name)?.schemas;
  const found = listed ?? others.find((other) => (silent || !other.silent) && matches(other.names, name))?.schemas;
  return found?.some(({ schema, negated }) => schema === false && !negated) ? undefined : found;
}

function subtractObjects(
  isEmpty: IsEmpty,
  shape: ObjectShape,
  excluded: ObjectShape,
  undecided: () => Error,
): ObjectShape[] {
  if (shape.min > excluded.max || excluded.min > shape.max) return [shape];
  const constrained: string[] = [];
  for (const [name, { schemas, required }] of excluded.properties) {
    const written = schemasOf(shape, name, false);
    if (required && written === undefined) return [shape];
    const mustBe = required || shape.properties.get(name)?.required;
    if (mustBe && written && isEmpty([...written, ...schemas])) return [shape];
    if (required || !schemas.every(says0)) constrained.push(name);
  }
  for (const [name, { required, schemas }] of shape.properties) {
    if (!required || excluded.properties.has(name)) continue;
    const there = schemasOf(excluded, name, true);
    if (there === undefined || isEmpty([...schemas, ...there])) return [shape];
  }
  const free =
    excluded.min === 0 &&
    excluded.max === Number.POSITIVE_INFINITY &&
    excluded.others.every((other) => other.schemas.every(says0));
  if (!free || (excluded.others.length === 0 && shape.others.length > 0)) throw undecided();
  // Not all of several conditions: one of them does not hold.
  return constrained.flatMap((name) => {
    const { schemas, required } = excluded.properties.get(name)!;
    const own = schemasOf(shape, name, true);
    const listed = shape.properties.get(name);
    const change = (property: readonly Conjunct[], needed: boolean): ObjectShape => {
      const properties = new Map(shape.properties);
      properties.set(name, { schemas: property, required: needed });
      if (listed) return { ...shape, properties };
      const other = complement(literals([name]));
      const others = shape.others.map((each) => ({ ...each, names: intersect(each.names, other) }));
      return { ...shape, properties, others };
    };
    const parts: ObjectShape[] = [];
    // Absent …
    if (required && !listed?.required) parts.push(change([{ schema: false, pointer: "absent" }], false));
    // … or there with a value that does not fit.
    if (own)
      for (const each of schemas)
        if (!says0(each)) parts.push(change([...own, { ...each, negated: !each.negated }], true));
    return parts;
  });
}
