import type { ConstraintSpec, ConstraintState } from "../constraints/types.js";
import { OptionError } from "../errors.js";
import type { ParsedText, ToolParser } from "../tools/parser.js";
import type { GenerateOptions } from "../types/generate-options.js";
import type { Piece } from "../types/results.js";
import type { ToolDefinition } from "../types/tools.js";
import type { TokenIds } from "../types.js";
import { begin, keptConstraint, specKey } from "./answer-constraint.js";
import type { TemplateTokenizer } from "./template.js";

/** What reading an answer with tools needs. */
export interface ToolAnswer {
  readonly constraint: ConstraintState;
  /** Pieces with the calls taken out of the text. */
  read(pieces: AsyncIterable<Piece>): AsyncIterable<Piece>;
}

/**
 * Makes ready for an answer that may, or has to, call tools; undefined when there are none to call.
 * @throws OptionError for tools or a choice that cannot be used
 */
export async function toolAnswer(
  tokenizer: TemplateTokenizer,
  prompt: TokenIds,
  options: GenerateOptions,
  begun = "",
): Promise<ToolAnswer | undefined> {
  const { tools = [], toolChoice = "auto", parallelToolCalls = true, schema, regex, grammar, stop } = options;
  checkTools(tools, toolChoice);
  if (tools.length === 0 || toolChoice === "none") return undefined;
  const forced = toolChoice !== "auto";
  if (forced && stop !== undefined && stop.length > 0)
    throw new OptionError("stop cannot be used when a tool has to be called", { key: "stop" });
  const chosen = typeof toolChoice === "object" ? tools.filter(({ name }) => name === toolChoice.name) : tools;
  const calls = typeof toolChoice === "object" ? "one" : forced ? "some" : "any";
  const constrained = schema !== undefined || regex !== undefined || grammar !== undefined;
  const spec: ConstraintSpec | undefined = constrained ? { schema, regex, grammar } : undefined;
  const format = tokenizer.toolFormat;
  const [{ compileTools }, { ToolParser }] = await Promise.all([
    import("../tools/grammar.js"),
    import("../tools/parser.js"),
  ]);
  const name = JSON.stringify(["tools", chosen, calls, parallelToolCalls, spec && specKey(spec)]);
  const constraint = await keptConstraint(tokenizer, name, async (vocabulary) =>
    compileTools(vocabulary, format, chosen, calls, spec, parallelToolCalls ? undefined : 1),
  );
  const parser = new ToolParser(format, (index) => callId(prompt, index));
  parser.push(begun);
  return {
    constraint: begin(constraint, begun, "tools"),
    read: (pieces) => readCalls(pieces, parser, constrained ? "schema" : "stop"),
  };
}

/** @param textReason why an answer that is complete and calls nothing ended */
async function* readCalls(
  pieces: AsyncIterable<Piece>,
  parser: ToolParser,
  textReason: "schema" | "stop",
): AsyncGenerator<Piece, void, undefined> {
  for await (const piece of pieces) {
    const parsed = parser.push(piece.text);
    if (piece.finishReason === undefined) {
      yield* asPieces(piece, parsed);
      continue;
    }
    const rest = parser.flush();
    yield* asPieces({ text: "", token: -1, logprob: 0 }, parsed, false);
    const complete = piece.finishReason === "schema" && !parser.open;
    const reason = complete ? (parser.count > 0 ? "tool" : textReason) : piece.finishReason;
    yield { ...piece, text: rest.text, finishReason: reason };
  }
}

/** One piece for each call that something is new of; the first one has the token. */
function* asPieces(piece: Piece, { text, deltas }: ParsedText, always = true): Generator<Piece> {
  const [first, ...others] = deltas;
  if (always || text !== "" || first) yield { ...piece, text, ...(first ? { toolCallDelta: first } : {}) };
  for (const delta of others) yield { text: "", token: -1, logprob: 0, toolCallDelta: delta };
}

function checkTools(tools: readonly ToolDefinition[], choice: NonNullable<GenerateOptions["toolChoice"]>): void {
  const names = new Set<string>();
  for (const [i, tool] of tools.entries()) {
    const key = `tools[${i}]`;
    if (typeof tool?.name !== "string" || tool.name === "")
      throw new OptionError("The tool has no name", { key }, "A tool is { name, description, parameters }");
    if (names.has(tool.name)) throw new OptionError(`Two tools are called "${tool.name}"`, { key });
    names.add(tool.name);
  }
  const named = typeof choice === "object" && choice !== null ? choice.name : undefined;
  if (named === undefined && !["auto", "none", "required"].includes(choice as string))
    throw new OptionError(
      `${JSON.stringify(choice)} is unknown`,
      { key: "toolChoice" },
      "Use auto, none, required or { name }",
    );
  if (choice === "required" && names.size === 0)
    throw new OptionError("A tool has to be called, but there are none", { key: "toolChoice" }, "Give tools");
  if (named !== undefined && !names.has(named))
    throw new OptionError(`There is no tool "${named}"`, { key: "toolChoice" });
}

/** The same for the same prompt, and different from those of earlier turns: FNV-1a of the prompt's tokens. */
function callId(prompt: TokenIds, index: number): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < prompt.length; i++) hash = Math.imul(hash ^ (prompt[i] as number), 0x01000193);
  return `call_${(hash >>> 0).toString(16).padStart(8, "0")}${index}`;
}
