import type { ChatMessage, GenerateOptions, ToolDefinition } from "../types.js";
import type { JsonObject } from "./body.js";
import { content } from "./content.js";
import { badParameter } from "./errors.js";
import {
  flag,
  list,
  object,
  oneOf,
  only,
  type Parameters,
  type Parse,
  readParameters,
  text,
  whole,
} from "./parameters.js";
import {
  ignoredParameters,
  type SamplingParameters,
  samplingOptions,
  samplingParameters,
} from "./sampling-parameters.js";
import { type ToolChoice, toolChoice, toolDefinition, toolOptions } from "./tool-parameters.js";

interface ResponseParameters extends SamplingParameters {
  input: ChatMessage[];
  instructions: string;
  max_output_tokens: number;
  tools: { definition: ToolDefinition; strict: unknown }[];
  tool_choice: ToolChoice;
  parallel_tool_calls: boolean;
  text: { schema?: JsonObject; format: JsonObject };
  top_logprobs: number;
  include: string[];
  truncation: "auto" | "disabled";
  background: unknown;
  reasoning: unknown;
  max_tool_calls: number;
  metadata: JsonObject;
  user: string;
  safety_identifier: string;
  prompt_cache_key: string;
}

const item: Parse<ChatMessage> = (value, param) => {
  const entry = object(value, param);
  const type = oneOf("message", "function_call", "function_call_output")(entry.type ?? "message", `${param}.type`);
  if (type === "function_call")
    return {
      role: "assistant",
      content: "",
      toolCalls: [
        {
          id: text(entry.call_id, `${param}.call_id`),
          name: text(entry.name, `${param}.name`),
          arguments: text(entry.arguments, `${param}.arguments`),
        },
      ],
    };
  if (type === "function_call_output")
    return {
      role: "tool",
      content: content(entry.output, `${param}.output`),
      toolCallId: text(entry.call_id, `${param}.call_id`),
    };
  const role = oneOf("system", "developer", "user", "assistant")(entry.role, `${param}.role`);
  return { role: role === "developer" ? "system" : role, content: content(entry.content, `${param}.content`) };
};

const input: Parse<ChatMessage[]> = (value, param) => {
  if (typeof value === "string") return [{ role: "user", content: value }];
  const items = list(item, 10_000)(value, param);
  if (items.length === 0) throw badParameter(param, `${param} is empty`, "empty_array");
  return joinCalls(items);
};

/** Calls made in one turn are one message of the conversation. */
function joinCalls(items: readonly ChatMessage[]): ChatMessage[] {
  const joined: ChatMessage[] = [];
  for (const each of items) {
    const last = joined.at(-1);
    if (each.toolCalls && last?.role === "assistant")
      joined[joined.length - 1] = { ...last, toolCalls: [...(last.toolCalls ?? []), ...each.toolCalls] };
    else joined.push(each);
  }
  return joined;
}

const responseTool: Parse<ResponseParameters["tools"][number]> = (value, param) => {
  const { type, strict = null } = object(value, param);
  oneOf("function")(type, `${param}.type`);
  return { definition: toolDefinition(value, param), strict };
};

const format: Parse<ResponseParameters["text"]> = (value, param) => {
  const { format: given, verbosity } = object(value, param);
  if (verbosity !== undefined && verbosity !== null) oneOf("medium")(verbosity, `${param}.verbosity`);
  const at = `${param}.format`;
  const wanted = given === undefined || given === null ? { type: "text" } : object(given, at);
  const type = oneOf("text", "json_object", "json_schema")(wanted.type, `${at}.type`);
  if (type === "text") return { format: { type } };
  if (type === "json_object") return { schema: { type: "object" }, format: { type } };
  const { name, description = null, strict } = wanted;
  const schema = object(wanted.schema, `${at}.schema`);
  return { schema, format: { type, name: text(name, `${at}.name`), description, schema, strict: strict ?? false } };
};

const reasoning: Parse<unknown> = (value, param) => {
  const { effort, summary } = object(value, param);
  if (effort !== undefined && effort !== null) only("none")(effort, `${param}.effort`);
  if (summary !== undefined && summary !== null) only("auto")(summary, `${param}.summary`);
  return value;
};

const parameters: Parameters<ResponseParameters> = {
  ...samplingParameters,
  // There is one answer to each request.
  n: whole(1, 1),
  input,
  instructions: text,
  max_output_tokens: whole(1),
  tools: list(responseTool, 128),
  tool_choice: toolChoice,
  parallel_tool_calls: flag,
  text: format,
  top_logprobs: whole(0, 20),
  include: list(oneOf("message.output_text.logprobs", "reasoning.encrypted_content")),
  truncation: oneOf("auto", "disabled"),
  background: only(false),
  reasoning,
  max_tool_calls: whole(1, 1),
  // They change nothing, and the answer repeats them.
  metadata: object,
  user: text,
  safety_identifier: text,
  prompt_cache_key: text,
};

/** What a request to `/v1/responses` asks for. */
export interface ResponseRequest {
  /** As it came. */
  body: JsonObject;
  values: Partial<ResponseParameters>;
  messages: ChatMessage[];
  options: GenerateOptions;
  logprobs: boolean;
}

/** Reads the body of a request to `/v1/responses`. @throws ApiError */
export function readResponseRequest(body: JsonObject): ResponseRequest {
  const { previous_response_id: previous, conversation, prompt, ...rest } = body;
  for (const [name, value] of Object.entries({ previous_response_id: previous, conversation, prompt }))
    if (value !== undefined && value !== null)
      throw badParameter(
        name,
        `${name} is not supported: this server keeps no responses, send the whole conversation as input`,
        "unsupported_parameter",
      );
  const values = readParameters<ResponseParameters>(rest, parameters, ignoredParameters);
  if (!values.input) throw badParameter("input", "The parameter input is missing", "missing_required_parameter");
  const tools = values.tools?.map(({ definition }) => definition);
  const logprobs = (values.top_logprobs ?? 0) > 0 || values.include?.includes("message.output_text.logprobs") === true;
  return {
    body,
    values,
    messages:
      values.instructions === undefined
        ? values.input
        : [{ role: "system", content: values.instructions }, ...values.input],
    options: {
      ...samplingOptions(values),
      ...toolOptions(tools, values.tool_choice, values.max_tool_calls === 1 ? false : values.parallel_tool_calls),
      maxTokens: values.max_output_tokens,
      ...(values.truncation === "auto" ? { contextOverflow: "shift" as const } : {}),
      ...(values.text?.schema ? { schema: values.text.schema } : {}),
      ...(logprobs ? { topLogprobs: values.top_logprobs ?? 0 } : {}),
    },
    logprobs,
  };
}
