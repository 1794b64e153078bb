import { classAutomaton } from "../automaton.js";
import { byteSet, type Node, type NodeFactory } from "../nodes.js";

const bytes = (text: string) => byteSet(...new TextEncoder().encode(text));
const hexadecimal = "0123456789abcdefABCDEF";

/** The parts JSON texts are made of, as nodes. */
export class JsonText {
  /** Between values: nothing, one space, or a line break and up to 20 spaces or tabs. */
  readonly space: Node;
  /** After a colon: nothing or one space. */
  readonly gap: Node;
  /** One character of a string, in any of the forms JSON has for it. */
  readonly character: Node;
  readonly quote: Node;

  constructor(nodes: NodeFactory) {
    const blank = nodes.text(" ");
    const set = (text: string) => nodes.set(bytes(text));
    this.gap = nodes.optional(blank);
    this.space = nodes.choice(nodes.empty, blank, nodes.sequence(nodes.text("\n"), nodes.repeat(set(" \t"), 0, 20)));
    this.quote = nodes.text('"');
    const plain = Array.from({ length: 0x60 }, (_, i) => 0x20 + i).filter((byte) => byte !== 0x22 && byte !== 0x5c);
    const hex = set(hexadecimal);
    const unicode = nodes.choice(
      nodes.sequence(set("0123456789abcefABCEF"), hex, hex, hex),
      nodes.sequence(set("dD"), set("01234567"), hex, hex),
      nodes.sequence(set("dD"), set("89abAB"), hex, hex, nodes.text("\\u"), set("dD"), set("cdefCDEF"), hex, hex),
    );
    this.character = nodes.choice(
      nodes.set(byteSet(...plain)),
      nodes.automaton(classAutomaton([0x80, 0xd7ff, 0xe000, 0x10ffff])),
      nodes.sequence(nodes.text("\\"), nodes.choice(set('"\\/bfnrt'), nodes.sequence(nodes.text("u"), unicode))),
    );
  }
}
