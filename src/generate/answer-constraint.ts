import type { Constraint, ConstraintSpec, ConstraintState, TokenBytes } from "../constraints/types.js";
import { OptionError } from "../errors.js";
import type { ModelTokenizer } from "../tokenizer/tokenizer.js";
import type { GenerateOptions } from "../types/generate-options.js";
import type { AnswerConstraint } from "./constraint.js";

/** How many constraints of one tokenizer are kept. */
const KEPT_CONSTRAINTS = 32;

interface Kept {
  readonly vocabulary: TokenBytes;
  /** By what they demand, the one used last at the end. */
  readonly constraints: Map<string, Constraint>;
}

const kept = new WeakMap<ModelTokenizer, Kept>();

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
  const spec: ConstraintSpec = { schema, regex, grammar };
  const constraint = await keptConstraint(tokenizer, specKey(spec), async (vocabulary) => {
    const { compileConstraint } = await import("../constraints/compile.js");
    return compileConstraint(vocabulary, spec);
  });
  return begin(constraint, begun, key);
}

/** The state after what the answer begins with already. */
export function begin(constraint: Constraint, begun: string, key: string): ConstraintState {
  const state = constraint.start();
  if (begun && !state.read(new TextEncoder().encode(begun)))
    throw new OptionError(`The answer so far is not what ${key} asks for`, { key }, "Regenerate it instead");
  return state;
}

/** A text that is the same for the same specification. */
export function specKey({ schema, regex, grammar }: ConstraintSpec): string {
  return JSON.stringify([schema, grammar, regex === undefined ? regex : [typeof regex, String(regex)]]);
}

/** A constraint that was made before, or one that is made now. */
export async function keptConstraint(
  tokenizer: ModelTokenizer,
  name: string,
  make: (vocabulary: TokenBytes) => Promise<Constraint>,
): Promise<Constraint> {
  const { vocabulary, constraints } = keptOf(tokenizer);
  if (vocabulary.size === 0)
    throw new OptionError("This model has no vocabulary, so its answers cannot be constrained", { key: "schema" });
  const constraint = constraints.get(name) ?? (await make(vocabulary));
  // The last is the one used last; the first is forgotten.
  constraints.delete(name);
  constraints.set(name, constraint);
  if (constraints.size > KEPT_CONSTRAINTS) constraints.delete(constraints.keys().next().value as string);
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
