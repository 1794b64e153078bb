import type { ChatMessage } from "../types/messages.js";
import type { ToolCall, ToolDefinition } from "../types/tools.js";
import { fenced, type ToolFormat } from "./formats.js";

/**
 * A conversation for a template that knows no tools: they are described in front of the first message of the user, calls
 * are blocks between fences in the assistant's text, and results are messages of the user.
 */
export function withFencedTools(messages: readonly ChatMessage[], tools: readonly ToolDefinition[]): ChatMessage[] {
  let described = tools.length === 0;
  const shown: ChatMessage[] = [];
  for (const { toolCalls, toolCallId: _, ...message } of messages) {
    const { role } = message;
    let content = message.content ?? "";
    if (toolCalls?.length) content = withCalls(fenced, content, toolCalls);
    if (role === "tool") content = `\`\`\`tool_output\n${content}\n\`\`\``;
    if (role === "user" && !described) {
      content = `${descriptionOf(tools)}\n\n${content}`;
      described = true;
    }
    const last = shown.at(-1);
    // Results of several calls are one message: templates want user and assistant to take turns.
    if (role === "tool" && last?.role === "user") last.content = `${last.content}\n${content}`;
    else shown.push({ ...message, role: role === "tool" ? "user" : role, content });
  }
  return shown;
}

/** The text of an answer with its calls, as a model of this format (with calls in JSON) writes them. */
export function withCalls(format: ToolFormat, content: string, calls: readonly ToolCall[]): string {
  const { open, close, list, between, argumentsKey } = format;
  const written = calls.map(({ name, arguments: text }) => {
    return `{"name": ${JSON.stringify(name)}, "${argumentsKey}": ${text}}`;
  });
  const line = list || open === "" || open.endsWith("\n") ? "" : "\n";
  const text = list
    ? `${open}[${written.join(", ")}]${close}`
    : written.map((call) => open + line + call + line + close).join(between ? `${between} ` : "\n");
  return content ? `${content}\n${text}` : text;
}

function descriptionOf(tools: readonly ToolDefinition[]): string {
  const list = tools.map(({ name, description, parameters }) =>
    JSON.stringify({ name, description, parameters: parameters ?? { type: "object", properties: {} } }),
  );
  return [
    "You can call these functions:",
    ...list,
    "To call one, answer with nothing but a block like this:",
    `${fenced.open}{"name": "function name", "arguments": {"argument": "value"}}${fenced.close}`,
    "The result follows in a block named tool_output. When no function is needed, answer in plain text.",
  ].join("\n");
}
