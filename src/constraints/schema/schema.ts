import { limits } from "../limits.js";
import type { Node, NodeFactory } from "../nodes.js";
import type { JsonSchema } from "../types.js";
import { type Conjunct, refuse, SchemaDocument } from "./document.js";
import { numberAutomaton } from "./numbers.js";
import { type ObjectStyle, objectNode } from "./object-text.js";
import type { ArrayShape, Shape } from "./shapes.js";
import { Shapes } from "./shapes-of.js";
import { type StringShape, sized, stringAutomaton } from "./strings.js";
import { JsonText } from "./text.js";

/**
 * The JSON texts a schema allows.
 * @throws OptionError when the schema is damaged, needs what is not supported, or no value fits it
 */
export function schemaNode(schema: JsonSchema, nodes: NodeFactory): Node {
  return written(nodes, () => {
    const document = new SchemaDocument(schema);
    return new SchemaText(document, nodes).write([document.root]);
  });
}

/**
 * Keyword arguments of Python, `(key=value, …)`, for an object that a schema describes; values are literals of Python.
 * @throws OptionError as `schemaNode`, and for names that are none in Python
 */
export function argumentsNode(schema: JsonSchema, nodes: NodeFactory): Node {
  return written(nodes, () => {
    const document = new SchemaDocument(schema);
    return new SchemaText(document, nodes, true).writeArguments(document.root);
  });
}

function written(nodes: NodeFactory, write: () => Node): Node {
  try {
    const root = write();
    nodes.finish();
    if (root.dead) throw refuse("No value fits the schema", "");
    return root;
  } catch (error) {
    if (error instanceof RangeError) throw refuse("The schema is too deep", "");
    throw error;
  }
}

type RuleNode = ReturnType<NodeFactory["rule"]>;

/** Writes the texts of lists of schemas, each list as one rule. */
export class SchemaText {
  readonly nodes: NodeFactory;
  readonly text: JsonText;
  readonly #shapes: Shapes;
  readonly #rules = new Map<string, RuleNode>();
  readonly #open: { rule: RuleNode; schemas: readonly Conjunct[] }[] = [];

  /** Single values are written as Python writes them. */
  readonly #python: boolean;

  constructor(document: SchemaDocument, nodes: NodeFactory, python = false) {
    this.#python = python;
    this.nodes = nodes;
    this.text = new JsonText(nodes);
    this.#shapes = new Shapes(document);
  }

  /** The texts of these schemas together, with everything they refer to. */
  write(schemas: readonly Conjunct[]): Node {
    const node = this.value(schemas);
    this.#writeOpen();
    return node;
  }

  /** The objects these schemas allow, as keyword arguments. */
  writeArguments(schema: Conjunct): Node {
    const { nodes, text } = this;
    const style: ObjectStyle = {
      open: "(",
      close: ")",
      space: text.gap,
      key: (name) => {
        if (!/^[A-Za-z_]\w*$/.test(name))
          throw refuse(`"${name}" is not the name of an argument in Python`, schema.pointer);
        return nodes.text(`${name}=`);
      },
      others: false,
    };
    const shapes = this.#shapes.of([schema]).flatMap(({ object }) => (object ? [object] : []));
    const node = nodes.choice(...shapes.map((shape) => objectNode(this, shape, schema.pointer, style)));
    this.#writeOpen();
    return node;
  }

  #writeOpen(): void {
    for (let next = this.#open.pop(); next !== undefined; next = this.#open.pop()) {
      const pointer = next.schemas[0]?.pointer ?? "";
      const shapes = this.#shapes.of(next.schemas);
      next.rule.shape.rule.body = this.nodes.choice(...shapes.map((shape) => this.#shape(shape, pointer)));
    }
  }

  /** A rule for a value; its body is written later. */
  value(schemas: readonly Conjunct[]): Node {
    const key = this.#shapes.key(schemas);
    let rule = this.#rules.get(key);
    if (!rule) {
      rule = this.nodes.rule(key);
      this.#rules.set(key, rule);
      this.#open.push({ rule, schemas });
    }
    return rule;
  }

  #shape({ values, number, string, array, object }: Shape, pointer: string): Node {
    const { nodes } = this;
    const items = values.map((value) => nodes.text(this.#python ? pythonText(value) : JSON.stringify(value)));
    if (number) items.push(nodes.automaton(sized(pointer, () => numberAutomaton(number))));
    if (string) items.push(this.#string(string, pointer));
    if (array) items.push(this.#array(array, pointer));
    if (object) items.push(objectNode(this, object, pointer));
    return nodes.choice(...items);
  }

  #string(shape: StringShape, pointer: string): Node {
    const { nodes, text } = this;
    const content = shape.automata.length
      ? nodes.automaton(stringAutomaton(shape, pointer), 0, true)
      : shape.min > shape.max
        ? nodes.nothing
        : nodes.repeat(text.character, shape.min, shape.max);
    return nodes.sequence(text.quote, content, text.quote);
  }

  #array({ prefix, rest, min, written: max, unique }: ArrayShape, pointer: string): Node {
    const { nodes, text } = this;
    if (min > max) return nodes.nothing;
    if (unique && max > 1) return this.#uniqueArray(prefix, rest, min, max, pointer);
    const comma = nodes.sequence(nodes.text(","), text.space);
    const close = nodes.sequence(text.space, nodes.text("]"));
    const item = this.value(rest);
    const count = prefix.length;
    // From the back: what follows after i items.
    let after = nodes.sequence(
      nodes.repeat(
        nodes.sequence(comma, item),
        Math.max(0, min - Math.max(count, 1)),
        Math.max(0, max - Math.max(count, 1)),
      ),
      close,
    );
    for (let i = count - 1; i >= 1; i--)
      after = nodes.choice(
        i >= min ? close : nodes.nothing,
        i < max ? nodes.sequence(comma, this.value(prefix[i]!), after) : nodes.nothing,
      );
    const first = count > 0 ? this.value(prefix[0]!) : item;
    return nodes.choice(
      min === 0 ? nodes.text("[]") : nodes.nothing,
      max > 0 ? nodes.sequence(nodes.text("["), text.space, first, after) : nodes.nothing,
    );
  }

  /** Arrays without equal items, where the items are a few listed values: every order of them. */
  #uniqueArray(
    prefix: readonly (readonly Conjunct[])[],
    rest: readonly Conjunct[],
    min: number,
    max: number,
    pointer: string,
  ): Node {
    const { nodes, text } = this;
    const shapes = this.#shapes.of(rest);
    const values = [
      ...new Set(
        shapes.flatMap((shape) =>
          shape.values.map((value) => (this.#python ? pythonText(value) : JSON.stringify(value))),
        ),
      ),
    ];
    const listed = shapes.every(({ number, string, array, object }) => !number && !string && !array && !object);
    if (prefix.length || !listed || values.length > limits.uniqueValues)
      throw refuse(
        `"uniqueItems" is supported for items of at most ${limits.uniqueValues} listed values`,
        pointer,
        "Give the items an enum, or leave uniqueItems out",
      );
    const close = nodes.sequence(text.space, nodes.text("]"));
    const after = new Map<number, Node>();
    const follow = (used: number, count: number): Node => {
      let node = after.get(used);
      if (!node) {
        const next = values.map((value, i) =>
          (used >> i) & 1 || count >= max
            ? nodes.nothing
            : nodes.sequence(
                count ? nodes.text(",") : nodes.empty,
                text.space,
                nodes.text(value),
                follow(used | (1 << i), count + 1),
              ),
        );
        node = nodes.choice(count >= min && count > 0 ? close : nodes.nothing, ...next);
        after.set(used, node);
      }
      return node;
    };
    return nodes.choice(min === 0 ? nodes.text("[]") : nodes.nothing, nodes.sequence(nodes.text("["), follow(0, 0)));
  }
}

/** A value as a literal of Python. */
function pythonText(value: unknown): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(pythonText).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  const members = Object.entries(value).map(([name, inner]) => `${JSON.stringify(name)}: ${pythonText(inner)}`);
  return `{${members.join(", ")}}`;
}
