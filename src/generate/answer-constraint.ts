import type { Constraint, ConstraintSpec, TokenBytes } from "../constraints/types.js";
import { OptionError } from "../errors.js";
import type { ModelTokenizer } from "../tokenizer/tokenizer.js";
import type { AnswerConstraint } from "./constraint.js";
import type { GenerateOptions } from "./options.js";

/** Constraints of one tokenizer that are kept, the newest last. */
const mostKept = 32;

interface Kept {
  readonly vocabulary: TokenBytes;
  readonly constraints: Map<string, Constraint>;
}

const kept = new WeakMap<ModelTokenizer, Kept>();

/** A tokenizer as constraints see it. The same object each time: what is worked out about a vocabulary hangs on it. */
export function tokenBytesOf(tokenizer: ModelTokenizer): TokenBytes {
  return keptOf(tokenizer).vocabulary;
}

/**
 * What `schema`, `regex` or `grammar` demand of an answer; undefined without them.
 * @param begun what the answer begins with already
 * @throws OptionError when it is damaged or not supported, or stands beside `stop`
 */
export async function answerConstraint(
  tokenizer: ModelTokenizer,
  options: GenerateOptions,
  begun = "",
): Promise<AnswerConstraint | undefined> {
  const { schema, regex, grammar, stop } = options;
  if (schema === undefined && regex === undefined && grammar === undefined) return undefined;
  const key = schema !== undefined ? "schema" : regex !== undefined ? "regex" : "grammar";
  if (stop !== undefined && stop.length > 0)
    throw new OptionError(
      `stop cannot be used with ${key}: a text cut off would not be what ${key} asks for`,
      { key: "stop" },
      "Leave stop out; the answer ends when it is complete",
    );
  const constraint = await compiled(tokenizer, { schema, regex, grammar });
  const state = constraint.start();
  if (begun && !state.read(new TextEncoder().encode(begun)))
    throw new OptionError(`The answer so far is not what ${key} asks for`, { key }, "Regenerate it instead");
  return state;
}

async function compiled(tokenizer: ModelTokenizer, spec: ConstraintSpec): Promise<Constraint> {
  const { vocabulary, constraints } = keptOf(tokenizer);
  if (vocabulary.size === 0)
    throw new OptionError("This model has no vocabulary, so its answers cannot be constrained", { key: "schema" });
  const name = JSON.stringify([spec.schema, spec.grammar, spec.regex === undefined ? spec.regex : String(spec.regex)]);
  let constraint = constraints.get(name);
  if (!constraint) {
    const { compileConstraint } = await import("../constraints/compile.js");
    constraint = compileConstraint(vocabulary, spec);
  }
  // Put last, and the one not used for longest forgotten.
  constraints.delete(name);
  constraints.set(name, constraint);
  if (constraints.size > mostKept) constraints.delete(constraints.keys().next().value as string);
  return constraint;
}

function keptOf(tokenizer: ModelTokenizer): Kept {
  let found = kept.get(tokenizer);
  if (!found) {
    const vocabulary: TokenBytes = {
      size: tokenizer.vocabularySize,
      bytes: (id) => tokenizer.tokenBytes(id),
      specialId: (text) => tokenizer.specialId(text),
      stopIds: tokenizer.stopIds,
    };
    found = { vocabulary, constraints: new Map() };
    kept.set(tokenizer, found);
  }
  return found;
}
