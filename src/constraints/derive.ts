import { type Automaton, follow } from "./automaton.js";
import { byteSet, has, type Node, type NodeFactory } from "./nodes.js";

/**
 * What may follow after one more byte: the derivative of the set of texts (Brzozowski 1964, "Derivatives of regular
 * expressions"; with rules: Might, Darais and Spiewak 2011, "Parsing with derivatives").
 */
export function derive(nodes: NodeFactory, node: Node, byte: number): Node {
  const known = node.next?.[byte >>> 4]?.[byte & 15];
  if (known) return known;
  let found = compute(nodes, node, byte);
  if (found.dead) found = nodes.nothing;
  if (node.shape.kind === "literal" || node.shape.kind === "set") return found; // As quick as looking it up.
  node.next ??= new Array(16);
  const page = node.next[byte >>> 4] ?? new Array(16);
  page[byte & 15] = found;
  node.next[byte >>> 4] = page;
  return found;
}

function compute(nodes: NodeFactory, { shape }: Node, byte: number): Node {
  switch (shape.kind) {
    case "set":
      return has(shape.set, byte) ? nodes.empty : nodes.nothing;
    case "literal":
      return shape.bytes[shape.at] === byte ? nodes.rest(shape, shape.at + 1) : nodes.nothing;
    case "sequence": {
      const through = nodes.sequence(derive(nodes, shape.first, byte), shape.rest);
      return shape.first.nullable ? nodes.choice(through, derive(nodes, shape.rest, byte)) : through;
    }
    case "choice":
      return nodes.choice(...shape.items.map((item) => derive(nodes, item, byte)));
    case "repeat": {
      const { item, min, max } = shape;
      const first = derive(nodes, item, byte);
      if (first === nodes.nothing) return first;
      // An item that may be empty can stand for any number of those that have to come.
      return nodes.sequence(first, nodes.repeat(item, item.nullable ? 0 : Math.max(0, min - 1), max - 1));
    }
    case "rule":
      return derive(nodes, shape.rule.body!, byte);
    case "automaton":
      return deriveAutomaton(nodes, shape.automaton, shape.state, shape.json, byte);
    default:
      return nodes.nothing;
  }
}

const quote = 0x22;
const backslash = 0x5c;
/** Characters with an escape of their own, and its letter. */
const shortEscapes: readonly (readonly [code: number, letter: string])[] = [
  [quote, '"'],
  [backslash, "\\"],
  [8, "b"],
  [12, "f"],
  [10, "n"],
  [13, "r"],
  [9, "t"],
];

function deriveAutomaton(nodes: NodeFactory, automaton: Automaton, state: number, json: boolean, byte: number): Node {
  const described = automaton.states[state]!;
  const at = (target: number) => nodes.automaton(automaton, target, json);
  if (byte < 0x80) {
    if (json && byte === backslash) {
      const escapes: Node[] = [];
      for (let code = 0; code <= backslash; code++) {
        if (code >= 0x20 && code !== quote && code !== backslash) continue;
        const target = follow(described, code);
        if (target < 0) continue;
        const letter = shortEscapes.find(([known]) => known === code)?.[1];
        const text = letter ?? `u${code.toString(16).padStart(4, "0")}`;
        escapes.push(nodes.sequence(nodes.text(text), at(target)));
      }
      return nodes.choice(...escapes);
    }
    if (json && (byte < 0x20 || byte === quote)) return nodes.nothing;
    const target = follow(described, byte);
    return target < 0 || nodes.set(byteSet(byte)) === nodes.nothing ? nodes.nothing : at(target);
  }
  const [first, last, more] = leadRange(byte);
  if (more === 0) return nodes.nothing;
  const tails: Node[] = [];
  const { edges } = described;
  for (let i = 0; i < edges.length; i += 3) {
    const low = Math.max(edges[i]!, first);
    const high = Math.min(edges[i + 1]!, last);
    if (low <= high) tails.push(nodes.sequence(continuation(nodes, low, high, more), at(edges[i + 2]!)));
  }
  return nodes.choice(...tails);
}

/** Code points whose UTF-8 begins with this byte, and how many bytes follow; 0 for a byte that begins none. */
function leadRange(byte: number): [first: number, last: number, more: number] {
  if (byte >= 0xc2 && byte < 0xe0) return [(byte & 0x1f) << 6, ((byte & 0x1f) << 6) | 0x3f, 1];
  if (byte >= 0xe0 && byte < 0xf0) return [Math.max(0x800, (byte & 0xf) << 12), ((byte & 0xf) << 12) | 0xfff, 2];
  if (byte >= 0xf0 && byte < 0xf5)
    return [Math.max(0x10000, (byte & 7) << 18), Math.min(0x10ffff, ((byte & 7) << 18) | 0x3ffff), 3];
  return [0, 0, 0];
}

/** The last `bytes` bytes of the UTF-8 of low … high, which agree in all bits before them. */
function continuation(nodes: NodeFactory, low: number, high: number, bytes: number): Node {
  if (bytes === 0) return nodes.empty;
  const span = 64 ** (bytes - 1);
  const start = low - (low % (span * 64));
  const whole = byteSet();
  const parts: Node[] = [];
  for (let value = 0; value < 64; value++) {
    const first = Math.max(low, start + value * span);
    const last = Math.min(high, start + value * span + span - 1);
    if (first > last) continue;
    const byte = 0x80 | value;
    if (last - first + 1 === span) whole[byte >>> 5]! |= 1 << (byte & 31);
    else parts.push(nodes.sequence(nodes.set(byteSet(byte)), continuation(nodes, first, last, bytes - 1)));
  }
  const any = nodes.set(byteSet(...Array.from({ length: 64 }, (_, value) => 0x80 | value)));
  parts.push(nodes.sequence(nodes.set(whole), nodes.repeat(any, bytes - 1, bytes - 1)));
  return nodes.choice(...parts);
}
