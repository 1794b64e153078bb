import type {
  ChatMessage,
  Completion,
  FinishReason,
  GenerateOptions,
  JsonSchema,
  Model,
  ToolCall,
  Usage,
} from "deltallm";
import { OptionError, UnsupportedError } from "deltallm";
import type { Call, Content, Finish, LanguageModel, Message, Part, StreamPart, Warning } from "./ai-types.js";

/** Settings of `deltallm`. */
export interface ProviderSettings extends GenerateOptions {
  /** Shown as the model's id. Default: the name in its file. */
  modelId?: string | undefined;
}

/**
 * A loaded model as a language model of the Vercel AI SDK (`ai` 6 and later: specification v3).
 * Options of a call come first, then `providerOptions.deltallm`, then `settings`.
 */
export function deltallm(model: Model, settings: ProviderSettings = {}): LanguageModel {
  const { modelId = model.config.name ?? "deltallm", ...defaults } = settings;
  const prepare = (call: Call) => {
    const warnings: Warning[] = [];
    return { messages: call.prompt.flatMap(toMessages), options: toOptions(call, defaults, warnings), warnings };
  };
  return {
    specificationVersion: "v3",
    provider: "deltallm",
    modelId,
    supportedUrls: {},
    async doGenerate(call) {
      const { messages, options, warnings } = prepare(call);
      const answer: Completion = await model.complete(messages, options);
      const content: Content[] = answer.text ? [{ type: "text", text: answer.text }] : [];
      for (const one of answer.toolCalls ?? []) content.push(toolCall(one));
      return { content, ...ending(answer.finishReason, answer.usage), warnings };
    },
    async doStream(call) {
      const { messages, options, warnings } = prepare(call);
      const stopped = new AbortController();
      const signal = options.signal ? AbortSignal.any([options.signal, stopped.signal]) : stopped.signal;
      const parts = stream(model, messages, { ...options, signal }, warnings, modelId);
      return {
        stream: new ReadableStream<StreamPart>({
          async pull(controller) {
            try {
              const { done, value } = await parts.next();
              if (done) controller.close();
              else controller.enqueue(value);
            } catch (error) {
              if (stopped.signal.aborted) return;
              controller.enqueue({ type: "error", error });
              controller.close();
            }
          },
          async cancel() {
            stopped.abort();
            await parts.return(undefined).catch(() => undefined);
          },
        }),
      };
    },
  };
}

async function* stream(
  model: Model,
  messages: ChatMessage[],
  options: GenerateOptions,
  warnings: Warning[],
  modelId: string,
): AsyncGenerator<StreamPart, void, undefined> {
  yield { type: "stream-start", warnings };
  yield { type: "response-metadata", modelId, timestamp: new Date() };
  const calls: ToolCall[] = [];
  let open = false;
  for await (const { text, toolCallDelta, finishReason, usage } of model.generate(messages, options)) {
    if (text && !open) yield { type: "text-start", id: "0" };
    open ||= text !== "";
    if (text) yield { type: "text-delta", id: "0", delta: text };
    if (toolCallDelta) {
      const { index, id, name = "", arguments: delta = "" } = toolCallDelta;
      const known = calls[index];
      const one = known ?? { id: id ?? `call-${index}`, name, arguments: "" };
      calls[index] = one;
      if (!known) yield { type: "tool-input-start", id: one.id, toolName: name };
      one.arguments += delta;
      if (delta) yield { type: "tool-input-delta", id: one.id, delta };
    }
    if (!finishReason || !usage) continue;
    if (open) yield { type: "text-end", id: "0" };
    for (const one of calls) {
      yield { type: "tool-input-end", id: one.id };
      yield toolCall(one);
    }
    yield { type: "finish", ...ending(finishReason, usage) };
  }
}

function toOptions(call: Call, defaults: GenerateOptions, warnings: Warning[]): GenerateOptions {
  const { responseFormat, tools = [], toolChoice } = call;
  const given: GenerateOptions = {
    maxTokens: call.maxOutputTokens,
    temperature: call.temperature,
    topP: call.topP,
    topK: call.topK,
    presencePenalty: call.presencePenalty,
    frequencyPenalty: call.frequencyPenalty,
    stop: call.stopSequences?.length ? call.stopSequences : undefined,
    seed: call.seed,
    signal: call.abortSignal,
    schema: responseFormat?.type === "json" ? ((responseFormat.schema as JsonSchema | undefined) ?? true) : undefined,
  };
  const functions = tools.filter((tool) => tool.type === "function");
  for (const tool of tools)
    if (tool.type !== "function")
      warnings.push({ type: "unsupported", feature: `tool ${tool.name}`, details: "only functions can be called" });
  if (functions.length > 0) {
    given.tools = functions.map(({ name, description, inputSchema }) => ({
      name,
      description,
      parameters: inputSchema as JsonSchema,
    }));
    given.toolChoice = toolChoice?.type === "tool" ? { name: toolChoice.toolName } : toolChoice?.type;
  }
  const own = call.providerOptions?.deltallm ?? {};
  const stated = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return { ...defaults, ...(own as GenerateOptions), ...stated };
}

function toMessages(message: Message): ChatMessage[] {
  const { role, content } = message;
  if (typeof content === "string") return [{ role, content }];
  if (role === "tool")
    return content.flatMap((part) =>
      part.type === "tool-result"
        ? [{ role, content: resultText(part.output), name: part.toolName, toolCallId: part.toolCallId }]
        : [],
    );
  const calls = content.flatMap((part): ToolCall[] =>
    part.type === "tool-call"
      ? [{ id: part.toolCallId, name: part.toolName, arguments: JSON.stringify(part.input ?? {}) }]
      : [],
  );
  const text = content.map(textOf).join("");
  return [{ role, content: text, ...(calls.length > 0 ? { toolCalls: calls } : {}) }];
}

function textOf(part: Part): string {
  if (part.type === "text") return part.text;
  if (part.type === "file")
    throw new UnsupportedError(`Files (${part.mediaType}) cannot be given to this model`, {}, "Give text");
  return "";
}

function resultText(output: Extract<Part, { type: "tool-result" }>["output"]): string {
  if (output.type === "execution-denied") return output.reason ?? "The tool was not allowed to run";
  if (output.type === "text" || output.type === "error-text") return String(output.value);
  if (output.value === undefined) throw new OptionError("A tool result has no value", { key: "prompt" });
  return JSON.stringify(output.value);
}

function toolCall({ id, name, arguments: input }: ToolCall): Extract<Content, { type: "tool-call" }> {
  return { type: "tool-call", toolCallId: id, toolName: name, input };
}

const reasons = {
  stop: "stop",
  schema: "stop",
  length: "length",
  context: "length",
  tool: "tool-calls",
  abort: "other",
} as const;

function ending(reason: FinishReason, { promptTokens, cachedTokens, completionTokens }: Usage): Finish {
  return {
    finishReason: { unified: reasons[reason], raw: reason },
    usage: {
      inputTokens: {
        total: promptTokens,
        noCache: promptTokens - cachedTokens,
        cacheRead: cachedTokens,
        cacheWrite: undefined,
      },
      outputTokens: { total: completionTokens, text: completionTokens, reasoning: undefined },
    },
  };
}
