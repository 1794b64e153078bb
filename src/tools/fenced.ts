import type { ChatMessage, ToolDefinition } from "../generate/messages.js";
import { fenced } from "./formats.js";

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
    if (toolCalls?.length) content = [content, ...toolCalls.map(callText)].filter((part) => part !== "").join("\n");
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

function callText({ name, arguments: text }: { name: string; arguments: string }): string {
  return `${fenced.open}{"name": ${JSON.stringify(name)}, "arguments": ${text}}${fenced.close}`;
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
