import type { FinishReason } from "./results.js";

/** A JSON Schema (2020-12), as an object or `true`/`false`. */
export type JsonSchema = boolean | { readonly [keyword: string]: unknown };

/** A function the model may call. */
export interface ToolDefinition {
  name: string;
  /** What it does, for the model to read. */
  description?: string | undefined;
  /** JSON Schema of its arguments, an object. Default: no arguments. */
  parameters?: JsonSchema | undefined;
}

/** One call of a tool that a model wrote. */
export interface ToolCall {
  /** Made up by this package; the message with the result names it in `toolCallId`. */
  id: string;
  name: string;
  /** The arguments as JSON text. */
  arguments: string;
}

/** One message of a conversation. */
export interface ChatMessage {
  /** `system`, `user`, `assistant`, `tool`, or what else the model's template knows. */
  role: "system" | "user" | "assistant" | "tool" | (string & {});
  /** The text; null for an assistant's message that is nothing but tool calls. */
  content: string | null;
  /** Name of the speaker, or of the tool, for templates that show it. */
  name?: string | undefined;
  /** Calls an assistant's message asks for. */
  toolCalls?: ToolCall[] | undefined;
  /** Of a `tool` message: the call it answers. */
  toolCallId?: string | undefined;
  /** Of an answer in a chat: why it ended; `abort`: it was broken off. */
  finishReason?: FinishReason | undefined;
}

/** Options of `Tokenizer.applyTemplate`. */
export interface TemplateOptions {
  /** Tools the template tells the model about. */
  tools?: readonly ToolDefinition[] | undefined;
  /** End with the beginning of the assistant's next message. Default true. */
  addGenerationPrompt?: boolean | undefined;
}
