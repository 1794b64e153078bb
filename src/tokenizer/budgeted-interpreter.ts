import { TokenizerError } from "../errors.js";
import {
  isExpression,
  type Known,
  known,
  type Node,
  PythonInterpreter,
  type Scope,
  type Statement,
  type Value,
} from "./python-interpreter.js";

/** What a template may use up. */
export interface TemplateBudget {
  /** Nodes evaluated, and items of lists made or walked through. */
  steps: number;
  /** Characters of all texts made. */
  characters: number;
}

/** Deepest nesting of evaluations; far below what the stack holds, in workers too. */
const DEEPEST = 800;
/** Nodes whose value is another's, or short: nothing is made. */
const references: ReadonlySet<string> = new Set(["Identifier", "MemberExpression", "StringLiteral", "Known"]);
/** Filters that write lists and objects out. */
const writers: ReadonlySet<string> = new Set([
  "tojson",
  "string",
  "join",
  "trim",
  "upper",
  "lower",
  "title",
  "capitalize",
]);

/**
 * Runs a template that came with a model file, which may be damaged or hostile: within a budget of steps and characters,
 * so that loops in loops, macros that call themselves and texts that double end in an error. Everything a template does
 * passes through `evaluate`; operations that make much of little are looked at before they run.
 */
export class BudgetedInterpreter extends PythonInterpreter {
  #steps: number;
  #characters: number;
  #depth = 0;
  readonly #sizes = new WeakMap<object, number>();
  /** Nodes that stand in the text itself: lists and objects among them are written out. */
  #printed: WeakSet<object> = new WeakSet();

  constructor(environment: Scope, budget: TemplateBudget) {
    super(environment);
    this.#steps = budget.steps;
    this.#characters = budget.characters;
  }

  /** @throws TokenizerError when the budget is used up */
  spendSteps(steps: number): void {
    this.#steps -= steps;
    if (!(this.#steps >= 0)) throw exhausted("takes too many steps");
  }

  #spendCharacters(characters: number): void {
    this.#characters -= characters;
    if (!(this.#characters >= 0)) throw exhausted("writes too much text");
  }

  override run(program: object): Value {
    this.#printed = printedNodes(program);
    return super.run(program);
  }

  override evaluate(statement: Statement | undefined, environment: Scope): Value {
    if (!statement) return super.evaluate(statement, environment);
    if (statement.type === "Known") return (statement as Known).known;
    this.spendSteps(1);
    if (++this.#depth > DEEPEST) throw exhausted("is nested too deep");
    try {
      const value = this.#guarded(statement as Node, environment);
      this.#charge(statement, value);
      return value;
    } finally {
      this.#depth--;
    }
  }

  #guarded(node: Node, environment: Scope): Value {
    const evaluate = (part: unknown) => known(this.evaluate(part as Statement, environment));
    switch (node.type) {
      case "FilterExpression":
        return super.evaluate(
          this.#filter({ ...node, operand: evaluate(node.operand) } as Node, environment),
          environment,
        );
      case "BinaryExpression": {
        const { value: operator } = node.operator as { value: string };
        if (operator === "and" || operator === "or") break;
        const [left, right] = [evaluate(node.left), evaluate(node.right)];
        const texts = [left, right].filter((side) => side.known.type === "StringValue").length;
        if (operator === "~" || (operator === "+" && texts === 1))
          for (const side of [left, right]) this.#written(side.known);
        if (operator === "in" || operator === "not in") this.spendSteps(lengthOf(right.known));
        return super.evaluate({ ...node, left, right } as Node, environment);
      }
      case "MemberExpression": {
        const object = evaluate(node.object);
        if ((node.property as Node).type === "SliceExpression") this.spendSteps(lengthOf(object.known));
        const value = super.evaluate({ ...node, object } as Node, environment);
        const text = object.known;
        const isReplace =
          value.type === "FunctionValue" && text.type === "StringValue" && text.builtins.get("replace") === value;
        return isReplace ? this.#guardedReplace(text, value) : value;
      }
      case "For": {
        const select = node.iterable as Node;
        const inner = select.type === "SelectExpression";
        const list = evaluate(inner ? select.lhs : select);
        // Each item gets a scope of its own before anything is evaluated for it.
        this.spendSteps(2 * lengthOf(list.known));
        return super.evaluate({ ...node, iterable: inner ? { ...select, lhs: list } : list } as Node, environment);
      }
      case "FilterStatement": {
        const operand = evaluate({ type: "Program", body: node.body });
        const filter = { type: "FilterExpression", operand, filter: node.filter } as unknown as Node;
        return super.evaluate(this.#filter(filter, environment), environment);
      }
      case "Macro":
      case "CallStatement":
        // Looks through its body each time.
        this.spendSteps(this.#sizeOf(node.body));
        break;
    }
    return super.evaluate(node, environment);
  }

  /** The filter with its arguments evaluated, once it is clear that the result will not be too long. */
  #filter(node: Node, environment: Scope): Node {
    const filter = node.filter as Node;
    const operand = (node.operand as Known).known;
    const name = String((filter.type === "CallExpression" ? (filter.callee as Node).value : filter.value) ?? "");
    const call = filter.type === "CallExpression" ? filter : undefined;
    // The tests of selectattr must be written out in the template.
    if (!call || name === "selectattr" || name === "rejectattr") {
      if (writers.has(name)) this.#written(operand);
      return node;
    }
    const values: Value[] = [];
    const argument = (part: Node): Node => {
      if (part.type === "KeywordArgumentExpression") return { ...part, value: argument(part.value as Node) } as Node;
      if (part.type === "SpreadExpression" || part.type === "KeywordSpreadExpression")
        return { ...part, argument: argument(part.argument as Node) } as Node;
      const value = this.evaluate(part, environment);
      values.push(value);
      return known(value) as unknown as Node;
    };
    const args = (call.args as Node[]).map(argument);
    if (name === "replace") this.#spendReplace(operand, values);
    else if (writers.has(name) || name === "indent") {
      // Separators and indentation stand at most once per item or line, and depth.
      const each = values.reduce((sum, value) => sum + widthOf(value), 0);
      const letters = name === "join" && operand.type === "StringValue";
      this.#spendCharacters(letters ? lengthOf(operand) * (1 + each) : this.#measure(operand, each));
    }
    return { ...node, filter: { ...call, args } } as Node;
  }

  #guardedReplace(text: Value, replace: Value): Value {
    type Call = (args: Value[], scope: Scope) => Value;
    const { value } = replace as unknown as { value: Call };
    const guarded: Call = (args, scope) => {
      this.#spendReplace(text, args);
      return value(args, scope);
    };
    return new (replace.constructor as new (call: Call) => Value)(guarded);
  }

  /** Characters that `replace` adds. */
  #spendReplace(text: Value, [old, by]: readonly Value[]): void {
    if (text.type !== "StringValue" || old?.type !== "StringValue" || by?.type !== "StringValue") return;
    const [content, wanted, added] = [String(text.value), String(old.value), String(by.value)];
    let count = wanted === "" ? content.length + 1 : 0;
    if (wanted !== "")
      for (let at = content.indexOf(wanted); at >= 0; at = content.indexOf(wanted, at + wanted.length)) count++;
    this.spendSteps((content.length * wanted.length) / 1024);
    this.#spendCharacters(content.length + count * added.length);
  }

  /** Pays for a value that is about to be written out. */
  #written(value: Value): void {
    if (value.type !== "StringValue") this.#spendCharacters(this.#measure(value, 0));
  }

  /** Characters of a value written out, with so many around each item; stops counting where the budget ends. */
  #measure(value: Value, around: number): number {
    let total = 0;
    const pending: [item: unknown, depth: number][] = [[value, 1]];
    while (pending.length > 0 && total <= this.#characters) {
      const [item, depth] = pending.pop() as [unknown, number];
      total += 2 + around * depth;
      const content = item instanceof Object && "value" in item ? item.value : item;
      if (typeof content === "string")
        total += around > 0 ? content.length + around * linesOf(content) : content.length;
      else if (Array.isArray(content)) for (const each of content) pending.push([each, depth + 1]);
      else if (content instanceof Map)
        for (const [key, each] of content) {
          total += String(key).length + 4;
          pending.push([each, depth + 1]);
        }
      if (pending.length > this.#characters) return Number.POSITIVE_INFINITY;
    }
    return total;
  }

  #charge(node: Statement, value: Value): void {
    if (this.#printed.has(node)) this.#written(value);
    if (references.has(node.type)) return;
    if (value.type === "StringValue") this.#spendCharacters(lengthOf(value));
    else this.spendSteps(lengthOf(value));
  }

  /** Nodes of a part of the template. */
  #sizeOf(part: unknown): number {
    if (typeof part !== "object" || part === null) return 0;
    let size = this.#sizes.get(part);
    if (size === undefined) {
      size = 1;
      for (const each of Object.values(part)) size += this.#sizeOf(each);
      this.#sizes.set(part, size);
    }
    return size;
  }
}

const printed = new WeakMap<object, WeakSet<object>>();

function printedNodes(program: object): WeakSet<object> {
  let found = printed.get(program);
  if (!found) {
    found = new WeakSet();
    const pending: object[] = [program];
    for (let node = pending.pop(); node; node = pending.pop())
      for (const [key, part] of Object.entries(node)) {
        if (typeof part !== "object" || part === null) continue;
        pending.push(part);
        if (Array.isArray(part) && ["body", "alternate", "defaultBlock"].includes(key))
          for (const each of part) if (isExpression(each)) found.add(each);
      }
    printed.set(program, found);
  }
  return found;
}

function lengthOf({ value }: Value): number {
  if (typeof value === "string") return value.length;
  return Array.isArray(value) ? value.length : value instanceof Map ? value.size : 0;
}

/** Characters that an argument of a filter can add to each item. */
function widthOf({ value }: Value): number {
  if (typeof value === "number") return Math.abs(value);
  if (typeof value === "string") return value.length;
  return Array.isArray(value) ? value.reduce((sum: number, each: Value) => sum + widthOf(each), 0) : 0;
}

function linesOf(text: string): number {
  let lines = 1;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines++;
  return lines;
}

function exhausted(what: string): TokenizerError {
  return new TokenizerError(`It ${what}`, {}, "The model's file is damaged, or meant to do harm");
}
