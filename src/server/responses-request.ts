import type { ChatMessage, GenerateOptions, ToolDefinition } from "../types.js";
import type { JsonObject } from "./body.js";
import { toolChoice, toolDefinition } from "./chat-request.js";
import { badParameter } from "./errors.js";
import {
  finite,
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

interface ResponseParameters {
  model: string;
  input: ChatMessage[];
  instructions: string;
  max_output_tokens: number;
  temperature: number;
  top_p: number;
  presence_penalty: number;
  frequency_penalty: number;
  top_k: number;
  min_p: number;
  seed: number;
  stream: boolean;
  stream_options: JsonObject;
  tools: { definition: ToolDefinition; given: JsonObject }[];
  tool_choice: NonNullable<GenerateOptions["toolChoice"]>;
  parallel_tool_calls: boolean;
  text: { schema?: JsonObject; format: JsonObject };
  top_logprobs: number;
  include: string[];
  truncation: "auto" | "disabled";
  background: unknown;
  reasoning: unknown;
  max_tool_calls: number;
  metadata: JsonObject;
  store: boolean;
  user: string;
  safety_identifier: string;
  prompt_cache_key: string;
  service_tier: string;
  resume_from: number;
}

const part: Parse<string> = (value, param) => {
  const { type, text: words, refusal } = object(value, param);
  if (type === "refusal") return text(refusal, `${param}.refusal`);
  if (type !== "input_text" && type !== "output_text" && type !== "text")
    throw badParameter(
      param,
      `Content of type ${JSON.stringify(type)} is not supported: only text is`,
      "unsupported_value",
    );
  return text(words, `${param}.text`);
};

const content: Parse<string> = (value, param) =>
  typeof value === "string" ? value : list(part, 1000)(value, param).join("");

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

const responseTool: Parse<{ definition: ToolDefinition; given: JsonObject }> = (value, param) => {
  const given = object(value, param);
  oneOf("function")(given.type, `${param}.type`);
  return { definition: toolDefinition(given, param), given };
};

const format: Parse<{ schema?: JsonObject; format: JsonObject }> = (value, param) => {
  const { format: given, verbosity } = object(value, param);
  if (verbosity !== undefined && verbosity !== null) oneOf("medium")(verbosity, `${param}.verbosity`);
  if (given === undefined || given === null) return { format: { type: "text" } };
  const wanted = object(given, `${param}.format`);
  const type = oneOf("text", "json_object", "json_schema")(wanted.type, `${param}.format.type`);
  if (type === "text") return { format: wanted };
  if (type === "json_object") return { schema: { type: "object" }, format: wanted };
  return { schema: object(wanted.schema, `${param}.format.schema`), format: wanted };
};

const reasoning: Parse<unknown> = (value, param) => {
  const { effort, summary } = object(value, param);
  if (effort !== undefined && effort !== null) only("none")(effort, `${param}.effort`);
  if (summary !== undefined && summary !== null) only("auto")(summary, `${param}.summary`);
  return value;
};

const parameters: Parameters<ResponseParameters> = {
  model: text,
  input,
  instructions: text,
  max_output_tokens: whole(1),
  temperature: finite(0, 2),
  top_p: finite(0, 1),
  presence_penalty: finite(-2, 2),
  frequency_penalty: finite(-2, 2),
  top_k: whole(0, 2 ** 31 - 1),
  min_p: finite(0, 1),
  seed: whole(0),
  stream: flag,
  stream_options: object,
  tools: list(responseTool, 128),
  tool_choice: toolChoice,
  parallel_tool_calls: flag,
  text: format,
  top_logprobs: whole(0, 20),
  include: list(oneOf("message.output_text.logprobs", "reasoning.encrypted_content")),
  truncation: oneOf("auto", "disabled"),
  background: only(false),
  reasoning,
  max_tool_calls: whole(1),
  metadata: object,
  store: flag,
  user: text,
  safety_identifier: text,
  prompt_cache_key: text,
  service_tier: text,
  resume_from: whole(0),
};

/** What a request to `/v1/responses` asks for. */
export interface ResponseRequest {
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
  const values = readParameters<ResponseParameters>(rest, parameters);
  if (!values.input) throw badParameter("input", "The parameter input is missing", "missing_required_parameter");
  const tools = values.tools?.map(({ definition }) => definition) ?? [];
  if (typeof values.tool_choice === "object" || values.tool_choice === "required")
    if (tools.length === 0) throw badParameter("tool_choice", "tool_choice needs tools");
  const logprobs = values.include?.includes("message.output_text.logprobs") ?? false;
  return {
    values,
    messages:
      values.instructions === undefined
        ? values.input
        : [{ role: "system", content: values.instructions }, ...values.input],
    options: {
      temperature: values.temperature,
      topP: values.top_p === 0 ? Number.MIN_VALUE : values.top_p,
      topK: values.top_k,
      minP: values.min_p,
      presencePenalty: values.presence_penalty,
      frequencyPenalty: values.frequency_penalty,
      seed: values.seed,
      maxTokens: values.max_output_tokens,
      ...(values.truncation === "auto" ? { contextOverflow: "shift" as const } : {}),
      ...(values.text?.schema ? { schema: values.text.schema } : {}),
      ...(tools.length && values.tool_choice !== "none" ? { tools } : {}),
      ...(values.tool_choice === undefined || tools.length === 0 ? {} : { toolChoice: values.tool_choice }),
      ...(values.parallel_tool_calls === undefined ? {} : { parallelToolCalls: values.parallel_tool_calls }),
      ...(logprobs ? { topLogprobs: values.top_logprobs ?? 0 } : {}),
    },
    logprobs,
  };
}
