import type { Node, NodeFactory } from "../nodes.js";
import { type Conjunct, refuse } from "./document.js";
import type { ObjectShape } from "./shapes.js";
import type { JsonText } from "./text.js";

/** Most properties that are counted for `minProperties` and `maxProperties`. */
const mostCounted = 200;

/** What stands around properties. */
export interface ObjectStyle {
  readonly open: string;
  readonly close: string;
  /** Between the values, as `JsonText.space` in JSON. */
  readonly space: Node;
  /** A property's name and what stands between it and its value. */
  key(name: string): Node;
  /** Properties that are not listed can be written. */
  readonly others: boolean;
}

/** Writes the values of the properties. */
export interface ValueWriter {
  readonly nodes: NodeFactory;
  readonly text: JsonText;
  /** The texts of what all these schemas allow together. */
  value(schemas: readonly Conjunct[]): Node;
}

/** Objects: the listed properties in their order, those that need not be there perhaps left out, then others. */
export function objectNode(writer: ValueWriter, shape: ObjectShape, pointer: string, style?: ObjectStyle): Node {
  const { nodes, text } = writer;
  const colon = nodes.sequence(nodes.text(":"), text.gap);
  const {
    open: begin,
    close: end,
    space,
    key,
    others,
  } = style ?? {
    open: "{",
    close: "}",
    space: text.space,
    key: (name: string) => nodes.sequence(nodes.text(JSON.stringify(name)), colon),
    others: true,
  };
  const members = [...shape.properties].map(([name, { schemas, required }]) => ({
    required,
    node: schemas.some(({ schema, negated }) => schema === false && !negated)
      ? nodes.nothing
      : nodes.sequence(key(name), writer.value(schemas)),
  }));
  const needed = members.filter(({ required }) => required).length;
  const free = others ? shape.others.filter(({ silent }) => !silent) : [];
  const other = nodes.choice(
    ...free.map(({ names, schemas }) =>
      nodes.sequence(text.quote, nodes.automaton(names, 0, true), text.quote, colon, writer.value(schemas)),
    ),
  );
  const open = other !== nodes.nothing;
  // Names written freely may be written twice, which makes one property of two.
  if (open && shape.min > members.length + 1)
    throw refuse(
      "More properties are asked for than are listed",
      pointer,
      "List properties, or lower minProperties: names written freely could repeat",
    );
  const counted = shape.min > needed || shape.max < (open ? Number.POSITIVE_INFINITY : members.length);
  const most = counted ? (Number.isFinite(shape.max) ? shape.max : shape.min) : 0;
  if (most > mostCounted) throw refuse(`More than ${mostCounted} properties are not counted`, pointer);
  const comma = nodes.sequence(nodes.text(","), space);
  const close = nodes.sequence(space, nodes.text(end));
  const up = (count: number) => (counted ? Math.min(count + 1, most + 1) : 1);
  const counts = Array.from({ length: counted ? most + 2 : 2 }, (_, count) => count);
  // From the back: what follows when `count` properties are written (only whether there are any, unless they count).
  let after = counts.map((count) => {
    const least = counted ? Math.max(0, shape.min - count) : 0;
    const left = counted ? shape.max - count : Number.POSITIVE_INFINITY;
    if (left < least || (least > 0 && !open) || least > 1) return nodes.nothing;
    if (count > 0) return nodes.sequence(nodes.repeat(nodes.sequence(comma, other), least, left), close);
    const more = nodes.repeat(nodes.sequence(comma, other), 0, left - 1);
    return nodes.choice(
      least === 0 ? nodes.text(end) : nodes.nothing,
      left > 0 ? nodes.sequence(space, other, more, close) : nodes.nothing,
    );
  });
  for (let i = members.length - 1; i >= 0; i--) {
    const { node, required } = members[i]!;
    const following = after;
    after = counts.map((count) =>
      nodes.choice(
        nodes.sequence(count > 0 ? comma : space, node, following[up(count)]!),
        required ? nodes.nothing : following[count]!,
      ),
    );
  }
  return nodes.sequence(nodes.text(begin), after[0]!);
}
