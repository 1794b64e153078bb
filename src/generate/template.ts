import type { TokenizerData } from "../formats/model-file.js";
import type { ModelTokenizer } from "../tokenizer/tokenizer.js";
import { fenced, mistral, type ToolFormat, toolFormatOf } from "../tools/formats.js";
import type { ChatMessage, TemplateOptions } from "../types/messages.js";
import type { ToolDefinition } from "../types/tools.js";
import type { Tokenizer } from "../types.js";

/** The tokenizer with the model's template. */
export type TemplateTokenizer = ModelTokenizer &
  Pick<Tokenizer, "applyTemplate"> & {
    /** How the model writes calls of tools. */
    readonly toolFormat: ToolFormat;
  };

/** Adds `applyTemplate` to a tokenizer. The templates' engine is imported when a template is first used. */
export function withTemplate(tokenizer: ModelTokenizer, data: TokenizerData): TemplateTokenizer {
  const special = (id: number | undefined) => (id === undefined ? "" : (data.tokens[id] ?? ""));
  const toolFormat = toolFormatOf(data.chatTemplate);
  const written = writtenCalls(toolFormat, data.chatTemplate);
  const callId = toolFormat === mistral ? mistralId : (id: string) => id;
  return Object.assign(tokenizer, {
    toolFormat,
    async applyTemplate(messages: readonly ChatMessage[], options: TemplateOptions = {}): Promise<string> {
      const { addGenerationPrompt = true } = options;
      let { tools } = options;
      let shown = messages;
      // Templates that do not know tools get them described in the messages.
      if (toolFormat === fenced) {
        const { withFencedTools } = await import("../tools/fenced.js");
        shown = withFencedTools(messages, tools ?? []);
        tools = undefined;
      }
      if (written < Number.POSITIVE_INFINITY) {
        const { withCalls } = await import("../tools/fenced.js");
        shown = shown.map((message) => {
          const { toolCalls = [], content, ...rest } = message;
          return toolCalls.length > written
            ? { ...rest, content: withCalls(toolFormat, content ?? "", toolCalls) }
            : message;
        });
      }
      const { renderChat } = await import("../tokenizer/chat-template.js");
      const bosToken = special(data.bosId);
      const text = renderChat(
        data,
        shown.map((message) => templateMessage(message, callId)),
        {
          addGenerationPrompt,
          bosToken,
          eosToken: special(data.eosIds[0]),
          fallback: true,
          ownMarks: [toolFormat.open, toolFormat.close],
          ...(tools?.length ? { tools: tools.map(templateTool) } : {}),
        },
      );
      // Some templates write the first token themselves, others leave it to the tokenizer.
      return tokenizer.addBos && bosToken && !text.startsWith(bosToken) ? bosToken + text : text;
    },
  });
}

/** How many calls of a message the template writes (Llama 3: one); if there are more, they are put into the text. */
function writtenCalls(format: ToolFormat, template = ""): number {
  if (format.calls === "json" && !/\btool_calls\b/.test(template)) return 0;
  return format.name === "llama3" ? 1 : Number.POSITIVE_INFINITY;
}

/** Mistral's templates want the ids of calls to be nine letters and digits. */
function mistralId(id: string): string {
  return id
    .replace(/[^A-Za-z0-9]/g, "")
    .slice(-9)
    .padStart(9, "0");
}

/** A message with the names templates know: those of the OpenAI API. */
function templateMessage(
  { toolCalls, toolCallId, finishReason: _, ...message }: ChatMessage,
  callId: (id: string) => string,
) {
  return {
    ...message,
    content: message.content ?? "",
    ...(toolCalls?.length
      ? {
          tool_calls: toolCalls.map(({ id, name, arguments: text }) => ({
            id: callId(id),
            type: "function",
            function: { name, arguments: parsed(text) },
          })),
        }
      : {}),
    ...(toolCallId === undefined ? {} : { tool_call_id: callId(toolCallId) }),
  };
}

function templateTool({ name, description = "", parameters }: ToolDefinition) {
  const schema = typeof parameters === "object" ? parameters : { type: "object", properties: {} };
  return { type: "function", function: { name, description, parameters: schema } };
}

/** Arguments as templates want them: an object, which they write as JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
