import { OptionError } from "../errors.js";
import { TooLarge } from "./automaton.js";
import { parseGrammar } from "./gbnf.js";
import { limits } from "./limits.js";
import { Masks } from "./masks.js";
import { type Node, NodeFactory } from "./nodes.js";
import { regexAutomaton } from "./regex-automaton.js";
import { parseRegex } from "./regex-parser.js";
import { schemaNode } from "./schema/schema.js";
import { GrammarConstraint } from "./state.js";
import { TokenTrie } from "./token-trie.js";
import type { Constraint, ConstraintSpec, TokenBytes } from "./types.js";

/** What all constraints over one vocabulary share. */
interface Shared {
  readonly trie: TokenTrie;
  readonly nodes: NodeFactory;
  readonly masks: Masks;
}

const known = new WeakMap<TokenBytes, Shared>();

function sharedOf(vocabulary: TokenBytes): Shared {
  let shared = known.get(vocabulary);
  if (!shared) {
    const trie = new TokenTrie(vocabulary);
    const nodes = new NodeFactory(trie.usable);
    shared = { trie, nodes, masks: new Masks(nodes, trie, vocabulary.stopIds) };
    known.set(vocabulary, shared);
  }
  return shared;
}

/**
 * Makes a constraint for a vocabulary. The tree of the vocabulary's bytes is made once per `TokenBytes` object; what
 * constraints over one vocabulary have in common is worked out once too.
 * @throws OptionError naming what is wrong or not supported, and where: a JSON pointer into the schema, the line of the
 *   grammar; also when no text at all would fit
 */
export function compileConstraint(vocabulary: TokenBytes, spec: ConstraintSpec): Constraint {
  const given = (["schema", "regex", "grammar"] as const).filter((name) => spec[name] !== undefined);
  if (given.length !== 1)
    throw new OptionError(
      given.length ? `${given.join(" and ")} cannot be used together` : "There is no schema, regex or grammar",
      { key: given[1] ?? "schema" },
      "Give one of schema, regex and grammar",
    );
  return compileNode(vocabulary, (nodes) => specNode(nodes, vocabulary, spec));
}

/** A constraint from nodes that `make` puts together; whatever has rules has to be made by `settled`. */
export function compileNode(vocabulary: TokenBytes, make: (nodes: NodeFactory) => Node): Constraint {
  const shared = sharedOf(vocabulary);
  const root = make(shared.nodes);
  return new GrammarConstraint({ ...shared, vocabulary, stopIds: new Set(vocabulary.stopIds), root });
}

/** Makes nodes that have rules. */
export function settled(nodes: NodeFactory, make: () => Node): Node {
  nodes.begin();
  try {
    return make();
  } finally {
    // Also after an error: nodes that other grammars have in common with these must be settled.
    nodes.finish();
  }
}

/** What a specification allows. */
export function specNode(nodes: NodeFactory, vocabulary: TokenBytes, spec: ConstraintSpec): Node {
  return settled(nodes, () => rootNode(nodes, vocabulary, spec));
}

function rootNode(nodes: NodeFactory, vocabulary: TokenBytes, spec: ConstraintSpec): Node {
  if (spec.schema !== undefined) return schemaNode(spec.schema, nodes);
  if (spec.grammar !== undefined) {
    if (typeof spec.grammar !== "string") throw new OptionError("The grammar is not a text", { key: "grammar" });
    return parseGrammar(spec.grammar, nodes, vocabulary);
  }
  return regexNode(spec.regex!, nodes);
}

function regexNode(regex: string | RegExp, nodes: NodeFactory): Node {
  if (typeof regex !== "string" && !(regex instanceof RegExp))
    throw new OptionError("It is neither a text nor a RegExp", { key: "regex" });
  const [source, flags] = typeof regex === "string" ? [regex, ""] : [regex.source, regex.flags];
  const parsed = parseRegex(source, flags, "regex");
  try {
    const automaton = regexAutomaton(parsed, "whole");
    const node = nodes.automaton(automaton);
    nodes.finish();
    if (node.dead) throw new OptionError("No text matches the regular expression", { key: "regex" });
    return node;
  } catch (error) {
    if (!(error instanceof TooLarge)) throw error;
    throw new OptionError(
      `The regular expression needs more than ${limits.automatonStates} states`,
      { key: "regex" },
      "Use smaller repetitions",
    );
  }
}
