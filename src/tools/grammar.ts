import { complement } from "../constraints/automaton.js";
import { compileNode, settled, specNode } from "../constraints/compile.js";
import type { Node, NodeFactory } from "../constraints/nodes.js";
import { regexAutomaton } from "../constraints/regex-automaton.js";
import { parseRegex } from "../constraints/regex-parser.js";
import { argumentsNode, schemaNode } from "../constraints/schema/schema.js";
import { JsonText } from "../constraints/schema/text.js";
import { specialBytes } from "../constraints/token-trie.js";
import type { Constraint, ConstraintSpec, JsonSchema, TokenBytes } from "../constraints/types.js";
import { OptionError } from "../errors.js";
import type { ToolDefinition } from "../types/tools.js";
import type { ToolFormat } from "./formats.js";

/** How many calls an answer may have. */
export type Calls = "any" | "some" | "one";

/** Most calls of one answer. */
const mostCalls = 16;

/**
 * What an answer may be: calls of these tools with arguments that fit, in a model's format; with `any` also text, or what
 * `spec` describes, before or instead.
 * @throws OptionError when the arguments of a tool cannot be described; with `any`, they may then be any object
 */
export function compileTools(
  vocabulary: TokenBytes,
  format: ToolFormat,
  tools: readonly ToolDefinition[],
  calls: Calls,
  spec: ConstraintSpec | undefined,
  most: number = mostCalls,
): Constraint {
  return compileNode(vocabulary, (nodes) => {
    const call = nodes.choice(...tools.map((tool, i) => callNode(nodes, format, tool, i, calls === "any")));
    const written = callsNode(nodes, vocabulary, format, call, calls === "one" ? 1 : most);
    if (calls !== "any") return written;
    if (spec) return nodes.choice(specNode(nodes, vocabulary, spec), written);
    const text = textNode(nodes, vocabulary, format);
    return format.open === "" ? nodes.choice(text, written) : nodes.sequence(text, nodes.optional(written));
  });
}

/** One call of one tool. */
function callNode(nodes: NodeFactory, format: ToolFormat, tool: ToolDefinition, index: number, lenient: boolean): Node {
  const schema: JsonSchema = tool.parameters ?? { type: "object", properties: {}, additionalProperties: false };
  const object: JsonSchema =
    typeof schema === "object" && schema.type === undefined ? { type: "object", ...schema } : schema;
  try {
    if (format.calls === "python") {
      if (!/^[A-Za-z_][\w.]*$/.test(tool.name))
        throw new OptionError(`"${tool.name}" is not the name of a function in Python`, {
          key: `tools[${index}].name`,
        });
      return nodes.sequence(
        nodes.text(tool.name),
        settled(nodes, () => argumentsNode(object, nodes)),
      );
    }
    return jsonCall(
      nodes,
      format,
      tool.name,
      settled(nodes, () => schemaNode(object, nodes)),
    );
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    if (lenient && format.calls === "json")
      return jsonCall(
        nodes,
        format,
        tool.name,
        settled(nodes, () => schemaNode({ type: "object" }, nodes)),
      );
    throw new OptionError(
      `The arguments of the tool "${tool.name}" cannot be described: ${error.message}`,
      { key: `tools[${index}]` },
      undefined,
      { cause: error },
    );
  }
}

function jsonCall(nodes: NodeFactory, format: ToolFormat, name: string, args: Node): Node {
  const { gap, space } = new JsonText(nodes);
  const text = (part: string) => nodes.text(part);
  return nodes.sequence(
    text("{"),
    gap,
    text('"name":'),
    gap,
    text(`${JSON.stringify(name)},`),
    space,
    text(`"${format.argumentsKey}":`),
    gap,
    args,
    space,
    text("}"),
  );
}

function callsNode(nodes: NodeFactory, vocabulary: TokenBytes, format: ToolFormat, call: Node, most: number): Node {
  const { gap, space } = new JsonText(nodes);
  const line = nodes.choice(nodes.empty, nodes.text("\n"));
  const open = mark(nodes, vocabulary, format.open);
  const close = mark(nodes, vocabulary, format.close);
  if (format.list) {
    const more = nodes.repeat(nodes.sequence(nodes.text(","), gap, call), 0, most - 1);
    const blank = format.calls === "json" ? gap : nodes.empty;
    return nodes.sequence(open, blank, nodes.text("["), call, more, nodes.text("]"), close);
  }
  // Fences have their line breaks; around marks one is written or none.
  const around = format.open.endsWith("\n") || format.open === "" ? nodes.empty : line;
  const one = nodes.sequence(open, around, call, around, close);
  const between = format.between === "" ? space : nodes.sequence(nodes.text(format.between), gap);
  return nodes.sequence(one, nodes.repeat(nodes.sequence(between, one), 0, most - 1));
}

/** A mark is one token where the model has it, which plain text cannot write; otherwise text. */
function mark(nodes: NodeFactory, vocabulary: TokenBytes, text: string): Node {
  const id = vocabulary.specialId(text);
  return id !== undefined && !vocabulary.bytes(id) ? nodes.literal(specialBytes(id)) : nodes.text(text);
}

/** Text that is not the beginning of calls; control tokens that are no marks of calls may stand in it. */
function textNode(nodes: NodeFactory, vocabulary: TokenBytes, format: ToolFormat): Node {
  const escaped = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
  const starts = format.reserved.map(escaped);
  if (format.open === "") starts.push('^\\s*\\{\\s*"name"\\s*:');
  const text = nodes.automaton(complement(regexAutomaton(parseRegex(starts.join("|"), "", "tools"), "part")));
  const special: Node[] = [];
  for (let id = 0; id < vocabulary.size; id++)
    if (!vocabulary.bytes(id) && !vocabulary.stopIds.includes(id)) special.push(nodes.literal(specialBytes(id)));
  const marks = [format.open, format.close, ...format.reserved].map((each) => mark(nodes, vocabulary, each));
  const free = nodes.choice(...special.filter((node) => !marks.includes(node)));
  return nodes.sequence(text, nodes.repeat(nodes.sequence(free, text), 0, Number.POSITIVE_INFINITY));
}
