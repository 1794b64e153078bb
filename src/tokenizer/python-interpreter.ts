import { Environment, Interpreter } from "@huggingface/jinja";

export interface Statement {
  type: string;
}
export type Scope = object;
/** A value of the interpreter. */
export interface Value {
  type: string;
  value: unknown;
  builtins: ReadonlyMap<string, Value>;
  __bool__(): { value: boolean };
}
/** The declarations of the library lead nowhere under `moduleResolution: nodenext`. */
const LibraryInterpreter = Interpreter as unknown as new (
  environment: Scope,
) => {
  run(program: object): Value;
  evaluate(statement: Statement | undefined, environment: Scope): Value;
  evaluateBlock(statements: readonly Statement[], environment: Scope): Value;
};

/** Any node of a template, by the names of the parser. */
export type Node = Statement & Record<string, unknown>;
/** A node whose value is known. */
export type Known = Statement & { type: "Known"; known: Value };

/** A node with this value. */
export function known(value: Value): Known {
  return { type: "Known", known: value } as Known;
}

/** A value of a template for one of JavaScript. */
const made = (value: unknown): Value => (new Environment() as unknown as Environment & MakesValues).set("made", value);
interface MakesValues {
  set(name: string, value: unknown): Value;
}
const ListValue = made([]).constructor as new (items: readonly Value[]) => Value;
const list = (items: readonly Value[]): Value => new ListValue(items);

/** Nodes that are written out where they stand. */
export const isExpression = ({ type }: Statement): boolean => /Expression$|Literal$|^Identifier$|^Ternary$/.test(type);

/** Leaves a turn of a loop, with the text of the blocks it leaves. */
class LoopControl extends Error {
  text = "";
  constructor(readonly statement: Statement) {
    super(`${statement.type} stands outside of a loop`);
  }
}

/**
 * Runs templates as Python does where the library is stricter or follows JavaScript: how values are written out and
 * compared, what may be done with nothing, and which characters are stripped. Templates are tried with Python's Jinja.
 */
export class PythonInterpreter extends LibraryInterpreter {
  override evaluate(statement: Statement | undefined, environment: Scope): Value {
    const node = statement as Node | undefined;
    const evaluate = (part: unknown) => this.evaluate(part as Statement, environment);
    switch (node?.type) {
      case "Break":
      case "Continue":
        throw new LoopControl(node);
      case "LoopBody":
        return this.#turn(node, environment);
      case "Known":
        return (statement as Known).known;
      case "FilterExpression": {
        const operand = evaluate(node.operand);
        return (
          this.#filtered(operand, node.filter as Node, environment) ??
          super.evaluate({ ...node, operand: known(operand) } as Node, environment)
        );
      }
      case "BinaryExpression": {
        const { value: operator } = node.operator as { value: string };
        if (operator === "and" || operator === "or") break;
        const [left, right] = [evaluate(node.left), evaluate(node.right)];
        if (operator === "==" || operator === "!=") return made(isEqual(left, right) === (operator === "=="));
        const within = Array.isArray(right.value) ? right.value : undefined;
        if (within && operator.endsWith("in"))
          return made(within.some((each) => isEqual(left, each)) === (operator === "in"));
        if (operator === "~") return made(pythonText(left) + pythonText(right));
        if (
          operator === "+" &&
          [left, right].some(isText) &&
          [left, right].some(({ value }) => value instanceof Object)
        )
          throw new Error(`Cannot add ${left.type} and ${right.type}`);
        return super.evaluate({ ...node, left: known(left), right: known(right) } as Node, environment);
      }
      case "MemberExpression": {
        const object = evaluate(node.object);
        const property = node.property as Node;
        if (!node.computed) {
          const name = String(property.value);
          const side = isText(object) ? ["lstrip", "strip", "rstrip"].indexOf(name) : -1;
          if (side >= 0)
            return made((characters?: string | null) => strip(String(object.value), side - 1, characters ?? blank));
        } else if (property.type !== "SliceExpression") {
          const index = evaluate(property);
          if (index.type === "UndefinedValue" || index.type === "NullValue") return made(undefined);
          return super.evaluate({ ...node, object: known(object), property: known(index) } as Node, environment);
        }
        return super.evaluate({ ...node, object: known(object) } as Node, environment);
      }
      case "For": {
        const select = node.iterable as Node;
        const inner = select.type === "SelectExpression";
        const items = known(iterated(evaluate(inner ? select.lhs : select)));
        const body = [{ type: "LoopBody", body: node.body }];
        return super.evaluate(
          { ...node, iterable: inner ? { ...select, lhs: items } : items, body } as Node,
          environment,
        );
      }
      case "TestExpression": {
        const { value: test } = node.test as { value: string };
        if (test !== "iterable" && test !== "sequence") break;
        const { type, value } = evaluate(node.operand);
        const has =
          typeof value === "string" || Array.isArray(value) || value instanceof Map || type === "UndefinedValue";
        return made(has !== Boolean(node.negate));
      }
    }
    return super.evaluate(statement, environment);
  }

  override evaluateBlock(statements: readonly Statement[], environment: Scope): Value {
    let text = "";
    try {
      for (const statement of statements) {
        const value = this.evaluate(statement, environment);
        if (isText(value) || isExpression(statement)) text += pythonText(value);
      }
    } catch (error) {
      if (error instanceof LoopControl) error.text = text + error.text;
      throw error;
    }
    return made(text);
  }

  /** A turn of a loop. What it had written when it was left stays; the library ends the loop at its next turn. */
  #turn(node: Node, environment: Scope): Value {
    if (node.left) return super.evaluate(node.left as Statement, environment);
    try {
      return this.evaluateBlock(node.body as Statement[], environment);
    } catch (error) {
      if (!(error instanceof LoopControl)) throw error;
      if (error.statement.type === "Break") node.left = error.statement;
      return made(error.text);
    }
  }

  /** What a filter gives where the library does not know, or otherwise. */
  #filtered(operand: Value, filter: Node, environment: Scope): Value | undefined {
    const call = filter.type === "CallExpression" ? filter : undefined;
    const name = String(call ? (call.callee as Node).value : filter.value);
    const { type, value } = operand;
    const args = (call?.args ?? []) as Node[];
    const items = () => iterated(operand).value as Value[];
    switch (name) {
      case "string":
        return isText(operand) ? operand : made(pythonText(operand));
      case "length":
      case "count":
        if (typeof value === "string") return made([...value].length);
        return made(value instanceof Map ? value.size : items().length);
      case "list":
        return list(items());
      case "capitalize":
      case "upper":
      case "lower":
      case "title":
      case "trim":
        if (call) return undefined;
        if (name === "trim") return made(strip(pythonText(operand), 0, blank));
        if (name === "capitalize") {
          const [first = "", ...rest] = pythonText(operand);
          return made(first.toUpperCase() + rest.join("").toLowerCase());
        }
        if (isText(operand)) return undefined;
        return this.evaluate(
          { type: "FilterExpression", operand: known(made(pythonText(operand))), filter } as Node,
          environment,
        );
      case "join": {
        if (isText(operand) || args.length > 1 || args[0]?.type === "KeywordArgumentExpression") return undefined;
        const by = args[0] ? pythonText(this.evaluate(args[0], environment)) : "";
        return made(items().map(pythonText).join(by));
      }
      case "first":
      case "last":
        return items().at(name === "first" ? 0 : -1) ?? made(undefined);
      case "min":
      case "max": {
        const sign = name === "min" ? 1 : -1;
        const compare = (a: Value, b: Value) => ((a.value as number) < (b.value as number) ? -sign : sign);
        return items().reduce<Value | undefined>(
          (best, each) => (best && compare(best, each) < 0 ? best : each),
          undefined,
        );
      }
      case "map": {
        if (args[0]?.type === "KeywordArgumentExpression" || !args[0]) break;
        const each = { ...filter, callee: { type: "Identifier", value: this.evaluate(args[0], environment).value } };
        const inner = args.length > 1 ? { ...each, args: args.slice(1) } : each.callee;
        const apply = (item: Value) => ({ type: "FilterExpression", operand: known(item), filter: inner }) as Node;
        return list(items().map((item) => this.evaluate(apply(item), environment)));
      }
      case "select":
      case "reject": {
        const { tests } = environment as { tests: ReadonlyMap<string, (...values: Value[]) => boolean> };
        const [test, ...others] = args.map((part) => this.evaluate(part, environment));
        const passes = test ? tests.get(String(test.value)) : (item: Value) => item.__bool__().value;
        if (!passes) throw new Error(`Unknown test: ${test?.value}`);
        return list(items().filter((item) => passes(item, ...others) === (name === "select")));
      }
      case "items":
        return type === "UndefinedValue" ? list([]) : undefined;
    }
    // A list, or nothing, where the library wants a list.
    const wantsList = ["map", "selectattr", "rejectattr", "sort", "unique", "reverse"].includes(name);
    if (!wantsList || type === "ArrayValue" || (name === "reverse" && isText(operand))) return undefined;
    const empty = isNull(operand) && name.endsWith("attr") ? list([]) : iterated(operand);
    return super.evaluate({ type: "FilterExpression", operand: known(empty), filter } as Node, environment);
  }
}

const isNull = ({ type }: Value): boolean => type === "NullValue";
const isText = ({ type }: Value): boolean => type === "StringValue";

/** What a loop goes through: characters of a text, nothing for what is not defined, and pairs that may be taken apart. */
function iterated(from: Value): Value {
  const { type, value } = from;
  if (typeof value === "string") return made([...value]);
  if (type === "UndefinedValue") return list([]);
  if (value instanceof Map) return made([...value.keys()]);
  if (!Array.isArray(value)) throw new Error(`${type} is nothing to go through`);
  const pairs = value.some((each: Value) => each.type === "TupleValue");
  if (pairs) return list(value.map((each: Value) => (each.type === "TupleValue" ? list(each.value as Value[]) : each)));
  return type === "ArrayValue" ? from : list(value);
}

function isEqual(a: Value, b: Value): boolean {
  const isNumber = ({ value }: Value) => typeof value === "number" || typeof value === "boolean";
  if (isNumber(a) && isNumber(b)) return Number(a.value) === Number(b.value);
  const [left, right] = [a.value, b.value];
  // Containers are compared one level deep: what is deeper must be the same object.
  if (Array.isArray(left) && Array.isArray(right))
    return left.length === right.length && left.every((each, i) => isSame(each, right[i]));
  if (left instanceof Map && right instanceof Map)
    return left.size === right.size && [...left].every(([key, each]) => right.has(key) && isSame(each, right.get(key)));
  return isSame(a, b);
}
const isSame = (a: Value, b: Value): boolean => a.value === b.value && isNull(a) === isNull(b);

/** What counts as white space in Python. */
const blank =
  " \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000";

/** A text without these characters at its beginning (side ≤ 0) and its end (side ≥ 0). */
function strip(text: string, side: number, characters: string): string {
  const set = new Set(characters);
  const letters = [...text];
  let [from, to] = [0, letters.length];
  if (side <= 0) while (from < to && set.has(letters[from]!)) from++;
  if (side >= 0) while (to > from && set.has(letters[to - 1]!)) to--;
  return letters.slice(from, to).join("");
}

/** A value as `str` of Python writes it; what is not defined is empty. */
export function pythonText(value: Value): string {
  return value.type === "StringValue" ? String(value.value) : value.type === "UndefinedValue" ? "" : represented(value);
}

function represented({ type, value }: Value & { toString(): string }): string {
  if (typeof value === "string") {
    const quote = value.includes("'") && !value.includes('"') ? '"' : "'";
    const escapes: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
    const written = value.replace(/[\\\n\r\t]/g, (letter) => escapes[letter] ?? "\\\\");
    return quote + (quote === "'" ? written.replaceAll("'", "\\'") : written) + quote;
  }
  if (typeof value === "boolean") return value ? "True" : "False";
  if (type === "NullValue") return "None";
  if (value === undefined) return "Undefined";
  if (Array.isArray(value)) {
    const items = value.map(represented).join(", ");
    return type !== "TupleValue" ? `[${items}]` : value.length === 1 ? `(${items},)` : `(${items})`;
  }
  if (value instanceof Map)
    return `{${[...value].map(([key, each]) => `${represented(made(key))}: ${represented(each)}`).join(", ")}}`;
  return type === "FloatValue" && Number.isInteger(value) ? `${value}.0` : String(value);
}
