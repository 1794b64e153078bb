import { ConstraintError, OptionError } from "../errors.js";
import type { GenerateOptions, JsonSchema } from "../types.js";
import { readText } from "./input.js";
import type { SamplingFlags } from "./options.js";
import type { Terminal } from "./terminal.js";

/**
 * What an answer has to be, by `--schema`, `--grammar` or `--regex`, checked before a model is loaded.
 * @throws OptionError, SourceError
 */
export async function constraintOptions(
  terminal: Terminal,
  flags: SamplingFlags,
): Promise<Pick<GenerateOptions, "schema" | "grammar" | "regex">> {
  const { schema, grammar, regex } = flags;
  const given = [schema, grammar, regex].filter((each) => each !== undefined).length;
  if (given === 0) return {};
  if (given > 1) throw new OptionError("Only one of --schema, --grammar and --regex can be used");
  const { checkConstraint } = await import("../constraints/check.js");
  const spec =
    schema !== undefined
      ? { schema: parseSchema(await readText(terminal, schema), schema) }
      : grammar !== undefined
        ? { grammar: await readText(terminal, grammar) }
        : { regex };
  checkConstraint(spec);
  return spec;
}

/** An answer that had to be something and is not must not pass for one. */
export function checkComplete(options: GenerateOptions, finishReason: string | undefined): void {
  if (options.schema === undefined && options.grammar === undefined && options.regex === undefined) return;
  if (finishReason !== "schema")
    throw new ConstraintError(
      `The answer is not complete (${finishReason ?? "it was broken off"})`,
      {},
      finishReason === "length" ? "Allow more tokens with --max-tokens" : "Use a longer context with --ctx",
    );
}

function parseSchema(text: string, file: string): JsonSchema {
  try {
    return JSON.parse(text) as JsonSchema;
  } catch (cause) {
    throw new OptionError("The schema is not JSON", { file }, cause instanceof Error ? cause.message : undefined, {
      cause,
    });
  }
}
