import { OptionError, SessionError } from "../errors.js";
import type { GenerateOptions } from "../types/generate-options.js";
import type { ChatMessage } from "../types/messages.js";
import type { TokenIds } from "../types.js";
import type { TemplateTokenizer } from "./template.js";

/** What `generate` takes. */
export type Prompt = string | TokenIds | readonly ChatMessage[];

/** Whether a prompt is a conversation. */
export function isMessages(prompt: Prompt): prompt is readonly ChatMessage[] {
  return Array.isArray(prompt) && typeof prompt[0] === "object" && prompt[0] !== null;
}

/**
 * The tokens of a prompt. Text has the model's first token in front where the model wants one.
 * @throws OptionError for anything that is not a prompt, TokenizerError of the template
 */
export async function promptTokens(
  tokenizer: TemplateTokenizer,
  prompt: Prompt,
  options: Pick<GenerateOptions, "tools" | "toolChoice"> = {},
): Promise<TokenIds> {
  if (typeof prompt === "string") return tokenizer.encode(prompt, { addBos: tokenizer.addBos || prompt === "" });
  if (isMessages(prompt)) {
    checkMessages(prompt);
    const tools = options.toolChoice === "none" ? undefined : options.tools;
    return tokenizer.encode(await tokenizer.applyTemplate(prompt, { tools }), { special: true });
  }
  if (
    !(Array.isArray(prompt) || ArrayBuffer.isView(prompt)) &&
    !(prompt && Number.isInteger((prompt as TokenIds).length))
  )
    throw new OptionError(
      `${describe(prompt)} is not a prompt`,
      { key: "prompt" },
      "Give a text, token ids, or messages",
    );
  return prompt as TokenIds;
}

/** @throws OptionError naming the first message that is none */
export function checkMessages(messages: readonly ChatMessage[]): void {
  messages.forEach((message, index) => {
    const key = `messages[${index}]`;
    if (typeof message !== "object" || message === null)
      throw new OptionError(`${describe(message)} is not a message`, { key }, "A message is { role, content }");
    if (typeof message.role !== "string" || message.role === "")
      throw new OptionError("The message has no role", { key }, "Use system, user, assistant or tool");
    if (typeof message.content !== "string" && !(message.content === null && message.toolCalls?.length))
      throw new OptionError(`The content is ${describe(message.content)}`, { key }, "It must be a text");
  });
}

/**
 * Unless something else is asked for, a prompt must leave room for at least one token.
 * @throws SessionError when it does not
 */
export function checkFits(tokens: number, contextLength: number, { contextOverflow }: GenerateOptions): void {
  if (tokens <= contextLength || (contextOverflow ?? "error") !== "error") return;
  throw new SessionError(
    `The prompt of ${tokens} tokens does not fit the context of ${contextLength}`,
    { key: "contextOverflow" },
    'Give less text, load the model with a larger contextLength, or use contextOverflow "shift"',
  );
}

/**
 * The first `keep` tokens and the newest of the rest, together half of what the context holds, and tells the caller.
 * Half: what is kept has to be computed again, so it had better not happen often.
 */
export function shiftTokens(tokens: TokenIds, keep: number, contextLength: number, options: GenerateOptions): number[] {
  const start = Math.min(keep, Math.floor(contextLength / 4));
  const newest = Math.max(1, Math.floor(contextLength / 2) - start);
  const kept = [...Array.from(tokens).slice(0, start), ...Array.from(tokens).slice(-newest)];
  const droppedTokens = tokens.length - kept.length;
  options.onContextShift?.({
    droppedTokens,
    droppedMessages: 0,
    note: `The context of ${contextLength} tokens is full: ${droppedTokens} earlier ones were dropped`,
  });
  return kept;
}

function describe(value: unknown): string {
  if (value === null || value === undefined || typeof value === "number") return String(value);
  return `a value of type ${typeof value}`;
}
