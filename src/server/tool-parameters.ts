import type { GenerateOptions, ToolDefinition } from "../types.js";
import { badParameter } from "./errors.js";
import { list, object, oneOf, type Parse, text } from "./parameters.js";

/** Whether and which tools are to be called. */
export interface ToolChoice {
  choice: NonNullable<GenerateOptions["toolChoice"]>;
  /** Names of the tools that may be called; all of them where it is not given. */
  allowed?: string[];
}

/** A tool as chat completions have it, one level deeper than elsewhere. */
export const tool: Parse<ToolDefinition> = (value, param) => {
  const { type = "function", function: definition } = object(value, param);
  oneOf("function")(type, `${param}.type`);
  return toolDefinition(definition, `${param}.function`);
};

export const toolDefinition: Parse<ToolDefinition> = (value, param) => {
  const { name, description, parameters } = object(value, param);
  const given = text(name, `${param}.name`);
  if (!/^[\w.-]{1,64}$/.test(given))
    throw badParameter(
      `${param}.name`,
      `${JSON.stringify(given)} is not a name for a tool: use letters, digits, _ and -`,
    );
  return {
    name: given,
    ...(description === undefined || description === null
      ? {}
      : { description: text(description, `${param}.description`) }),
    ...(parameters === undefined || parameters === null
      ? {}
      : { parameters: object(parameters, `${param}.parameters`) }),
  };
};

export const toolChoice: Parse<ToolChoice> = (value, param) => {
  const mode = oneOf("auto", "none", "required");
  if (typeof value === "string") return { choice: mode(value, param) };
  const given = object(value, param);
  if (oneOf("function", "allowed_tools")(given.type, `${param}.type`) === "function")
    return { choice: { name: nameOf(given, param) } };
  const among = given.allowed_tools === undefined ? given : object(given.allowed_tools, `${param}.allowed_tools`);
  return {
    choice: mode(among.mode ?? "auto", `${param}.mode`),
    allowed: list(nameOf, 128)(among.tools, `${param}.tools`),
  };
};

/** A name, in chat completions one level deeper. */
const nameOf: Parse<string> = (value, param) => {
  const given = object(value, param);
  const { name } = given.function === undefined ? given : object(given.function, `${param}.function`);
  return text(name, `${param}.name`);
};

/** The library's options for what was asked. @throws ApiError for a choice among tools that are not there */
export function toolOptions(
  tools: readonly ToolDefinition[] = [],
  { choice, allowed }: ToolChoice = { choice: "auto" },
  parallelToolCalls?: boolean,
): GenerateOptions {
  if (tools.length === 0 && (typeof choice === "object" || choice === "required"))
    throw badParameter("tool_choice", "tool_choice needs tools");
  for (const name of typeof choice === "object" ? [choice.name] : (allowed ?? []))
    if (!tools.some((each) => each.name === name))
      throw badParameter("tool_choice", `There is no tool named ${JSON.stringify(name)}`);
  if (choice === "none") return {};
  const callable = tools.filter(({ name }) => !allowed || allowed.includes(name));
  return callable.length === 0 ? {} : { tools: callable, toolChoice: choice, parallelToolCalls };
}
