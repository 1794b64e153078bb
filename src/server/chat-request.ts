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
  type LimitParameters,
  limitParameters,
  maxTokens,
  type SamplingParameters,
  samplingOptions,
  samplingParameters,
} from "./sampling-parameters.js";
import { type ToolChoice, tool, toolChoice, toolOptions } from "./tool-parameters.js";

/** What a request for an answer in a conversation asks for. */
export interface ChatRequest {
  model: string | undefined;
  messages: ChatMessage[];
  options: GenerateOptions;
  n: number;
  stream: boolean;
  includeUsage: boolean;
  logprobs: boolean;
  topLogprobs: number;
  /** Tokens the client has already. */
  resumeFrom: number;
}

interface ChatParameters extends SamplingParameters, LimitParameters {
  messages: ChatMessage[];
  logprobs: boolean;
  top_logprobs: number;
  response_format: Pick<GenerateOptions, "schema">;
  json_schema: JsonObject;
  tools: ToolDefinition[];
  tool_choice: ToolChoice;
  parallel_tool_calls: boolean;
  modalities: unknown;
}

const toolCall: Parse<NonNullable<ChatMessage["toolCalls"]>[number]> = (value, param) => {
  const call = object(value, param);
  oneOf("function")(call.type ?? "function", `${param}.type`);
  const { name, arguments: given } = object(call.function, `${param}.function`);
  return {
    id: text(call.id ?? "", `${param}.id`),
    name: text(name, `${param}.function.name`),
    arguments: text(given, `${param}.function.arguments`),
  };
};

const message: Parse<ChatMessage> = (value, param) => {
  const { role, content: words, name, tool_calls: calls, tool_call_id: callId } = object(value, param);
  const who = oneOf("system", "developer", "user", "assistant", "tool", "function")(role, `${param}.role`);
  const toolCalls =
    calls === undefined || calls === null ? undefined : list(toolCall, 128)(calls, `${param}.tool_calls`);
  if ((words === undefined || words === null) && !(who === "assistant" && toolCalls?.length))
    throw badParameter(`${param}.content`, `${param}.content is missing`, "missing_required_parameter");
  return {
    role: who === "developer" ? "system" : who === "function" ? "tool" : who,
    content: words === undefined || words === null ? "" : content(words, `${param}.content`),
    ...(typeof name === "string" ? { name } : {}),
    ...(toolCalls?.length ? { toolCalls } : {}),
    ...(callId === undefined || callId === null ? {} : { toolCallId: text(callId, `${param}.tool_call_id`) }),
  };
};

export const messages: Parse<ChatMessage[]> = (value, param) => {
  const read = list(message, 10_000)(value, param);
  if (read.length === 0) throw badParameter(param, `${param} is empty`, "empty_array");
  return read;
};

/** Any JSON object: what `response_format: { type: "json_object" }` promises. */
const anyObject = { type: "object" };

const responseFormat: Parse<Pick<GenerateOptions, "schema">> = (value, param) => {
  const format = object(value, param);
  const type = oneOf("text", "json_object", "json_schema")(format.type, `${param}.type`);
  if (type === "text") return {};
  // llama-server takes a schema in json_object as well.
  if (type === "json_object")
    return { schema: format.schema === undefined ? anyObject : object(format.schema, `${param}.schema`) };
  const { schema } = object(format.json_schema, `${param}.json_schema`);
  return { schema: object(schema ?? anyObject, `${param}.json_schema.schema`) };
};

const chatParameters: Parameters<ChatParameters> = {
  ...samplingParameters,
  ...limitParameters,
  messages,
  logprobs: flag,
  top_logprobs: whole(0, 20),
  response_format: responseFormat,
  json_schema: object,
  tools: list(tool, 128),
  tool_choice: toolChoice,
  parallel_tool_calls: flag,
  modalities: only(["text"]),
};

/** Reads the body of a chat completion. @throws ApiError */
export function readChatRequest(body: JsonObject): ChatRequest {
  const values = readParameters<ChatParameters>(body, chatParameters, ignoredParameters);
  if (!values.messages)
    throw badParameter("messages", "The parameter messages is missing", "missing_required_parameter");
  if (values.top_logprobs !== undefined && values.logprobs !== true)
    throw badParameter("top_logprobs", "top_logprobs needs logprobs: true");
  if (values.response_format?.schema && values.json_schema)
    throw badParameter("json_schema", "response_format names a schema already");
  const schema = values.response_format?.schema ?? values.json_schema;
  return {
    model: values.model,
    messages: values.messages,
    options: {
      ...samplingOptions(values),
      ...toolOptions(values.tools, values.tool_choice, values.parallel_tool_calls),
      maxTokens: maxTokens(values),
      ...(schema ? { schema } : {}),
      ...(values.logprobs ? { topLogprobs: values.top_logprobs ?? 0 } : {}),
    },
    n: values.n ?? 1,
    stream: values.stream ?? false,
    includeUsage: values.stream_options?.include_usage ?? false,
    logprobs: values.logprobs ?? false,
    topLogprobs: values.top_logprobs ?? 0,
    resumeFrom: values.resume_from ?? 0,
  };
}
