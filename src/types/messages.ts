import type { FinishReason } from "./results.js";
import type { ToolCall, ToolDefinition } from "./tools.js";

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
