import type { CallbackManagerForLLMRun } from "@langchain/core/callbacks/manager";
import type { BaseLanguageModelInput } from "@langchain/core/language_models/base";
import { BaseChatModel, type BaseChatModelCallOptions } from "@langchain/core/language_models/chat_models";
import { AIMessage, AIMessageChunk, type BaseMessage } from "@langchain/core/messages";
import { ChatGenerationChunk, type ChatResult } from "@langchain/core/outputs";
import type { Runnable } from "@langchain/core/runnables";
import { convertToOpenAITool } from "@langchain/core/utils/function_calling";
import type { ChatMessage, GenerateOptions, Model, ToolDefinition, Usage } from "deltallm";
import { UnsupportedError } from "deltallm";

/** Options of one call: those of a generation, besides LangChain's own. */
export interface ChatDeltaLLMCallOptions
  extends BaseChatModelCallOptions,
    Omit<GenerateOptions, "signal" | "stop" | "toolChoice" | "tools"> {
  tools?: Parameters<typeof convertToOpenAITool>[0][];
}

/** Fields of `ChatDeltaLLM`: the loaded model, and options of all its calls. */
export interface ChatDeltaLLMFields extends Omit<GenerateOptions, "signal"> {
  model: Model;
}

/** A loaded model as a LangChain chat model. Needs `@langchain/core`. */
export class ChatDeltaLLM extends BaseChatModel<ChatDeltaLLMCallOptions> {
  readonly #model: Model;
  readonly #defaults: GenerateOptions;

  constructor({ model, ...defaults }: ChatDeltaLLMFields) {
    super({});
    this.#model = model;
    this.#defaults = defaults;
  }

  override _llmType(): string {
    return "deltallm";
  }

  override bindTools(
    tools: ChatDeltaLLMCallOptions["tools"] & object,
    options?: Partial<ChatDeltaLLMCallOptions>,
  ): Runnable<BaseLanguageModelInput, AIMessageChunk, ChatDeltaLLMCallOptions> {
    return this.withConfig({ tools, ...options } as Partial<ChatDeltaLLMCallOptions>);
  }

  override async _generate(
    messages: BaseMessage[],
    options: this["ParsedCallOptions"],
    runManager?: CallbackManagerForLLMRun,
  ): Promise<ChatResult> {
    if (runManager && this.#streams(options)) {
      let whole: ChatGenerationChunk | undefined;
      for await (const chunk of this._streamResponseChunks(messages, options, runManager))
        whole = whole ? whole.concat(chunk) : chunk;
      if (whole) return { generations: [whole] };
    }
    const answer = await this.#model.complete(messages.map(toMessage), this.#options(options));
    const message = new AIMessage({
      content: answer.text,
      tool_calls: (answer.toolCalls ?? []).map((call) => ({
        id: call.id,
        name: call.name,
        args: JSON.parse(call.arguments || "{}"),
        type: "tool_call" as const,
      })),
      usage_metadata: usageOf(answer.usage),
      response_metadata: { finish_reason: answer.finishReason },
    });
    return { generations: [{ text: answer.text, message }] };
  }

  override async *_streamResponseChunks(
    messages: BaseMessage[],
    options: this["ParsedCallOptions"],
    runManager?: CallbackManagerForLLMRun,
  ): AsyncGenerator<ChatGenerationChunk> {
    for await (const piece of this.#model.generate(messages.map(toMessage), this.#options(options))) {
      const { text, toolCallDelta: call, finishReason, usage } = piece;
      if (!text && !call && !finishReason) continue;
      const message = new AIMessageChunk({
        content: text,
        ...(call
          ? {
              tool_call_chunks: [
                {
                  index: call.index,
                  id: call.id,
                  name: call.name,
                  args: call.arguments,
                  type: "tool_call_chunk" as const,
                },
              ],
            }
          : {}),
        ...(usage ? { usage_metadata: usageOf(usage) } : {}),
        ...(finishReason ? { response_metadata: { finish_reason: finishReason } } : {}),
      });
      const chunk = new ChatGenerationChunk({ text, message });
      yield chunk;
      await runManager?.handleLLMNewToken(text, undefined, undefined, undefined, undefined, { chunk });
    }
  }

  #streams(options: this["ParsedCallOptions"]): boolean {
    return (options as { stream?: boolean }).stream === true;
  }

  #options({ signal, stop, tools, tool_choice, ...own }: this["ParsedCallOptions"]): GenerateOptions {
    const options: GenerateOptions = { ...this.#defaults };
    for (const key of generationKeys)
      if (own[key as keyof typeof own] !== undefined) Object.assign(options, { [key]: own[key as keyof typeof own] });
    if (signal) options.signal = signal;
    if (stop) options.stop = stop;
    if (tools?.length) options.tools = tools.map(toTool);
    if (tool_choice !== undefined) options.toolChoice = toChoice(tool_choice);
    return options;
  }
}

/** Options of a generation among those of a call. */
const generationKeys = [
  ...["maxTokens", "temperature", "topK", "topP", "minP", "typicalP", "seed", "logitBias", "contextOverflow"],
  ...["repetitionPenalty", "repetitionWindow", "presencePenalty", "frequencyPenalty", "speculation", "topLogprobs"],
  ...["dryMultiplier", "dryBase", "dryAllowedLength", "dryWindow", "drySequenceBreakers", "schema", "regex", "grammar"],
];

const roles: Record<string, string> = { human: "user", ai: "assistant", system: "system", tool: "tool" };

function toMessage(message: BaseMessage): ChatMessage {
  const type = message.getType();
  const role = roles[type] ?? (message as { role?: string }).role ?? type;
  const { content } = message;
  const text = typeof content === "string" ? content : content.map((part) => partText(part)).join("");
  const made: ChatMessage = { role, content: text };
  const calls = (message as AIMessage).tool_calls;
  if (calls?.length)
    made.toolCalls = calls.map(({ id = "", name, args }) => ({ id, name, arguments: JSON.stringify(args) }));
  const id = (message as { tool_call_id?: string }).tool_call_id;
  if (id !== undefined) made.toolCallId = id;
  if (message.name !== undefined) made.name = message.name;
  return made;
}

function partText(part: { type: string; text?: unknown }): string {
  if (part.type === "text") return String(part.text);
  throw new UnsupportedError(`Content of type ${part.type} is not supported`, {}, "Give text");
}

function toTool(tool: Parameters<typeof convertToOpenAITool>[0]): ToolDefinition {
  const { name, description, parameters } = convertToOpenAITool(tool).function;
  return { name, description, parameters: parameters as ToolDefinition["parameters"] };
}

function toChoice(choice: unknown): GenerateOptions["toolChoice"] {
  if (choice === "auto" || choice === "none" || choice === "required") return choice;
  if (choice === "any") return "required";
  if (typeof choice === "string") return { name: choice };
  return { name: (choice as { function: { name: string } }).function.name };
}

function usageOf({ promptTokens, completionTokens }: Usage) {
  return { input_tokens: promptTokens, output_tokens: completionTokens, total_tokens: promptTokens + completionTokens };
}
