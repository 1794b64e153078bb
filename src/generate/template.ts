import type { TokenizerData } from "../formats/model-file.js";
import type { ModelTokenizer } from "../tokenizer/tokenizer.js";
import { fenced, type ToolFormat, toolFormatOf } from "../tools/formats.js";
import type { Tokenizer } from "../types.js";
import type { ChatMessage, TemplateOptions, ToolDefinition } from "./messages.js";

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
  return Object.assign(tokenizer, {
    toolFormat,
    async applyTemplate(messages: readonly ChatMessage[], options: TemplateOptions = {}): Promise<string> {
      const { addGenerationPrompt = true } = options;
      let { tools } = options;
      let shown = messages;
      // A template that knows no tools is told in words.
      if (toolFormat === fenced) {
        const { withFencedTools } = await import("../tools/fenced.js");
        shown = withFencedTools(messages, tools ?? []);
        tools = undefined;
      }
      if (shown.some((message) => needsText(message, toolFormat, data.chatTemplate))) {
        const { withCalls } = await import("../tools/fenced.js");
        shown = shown.map((message) => {
          if (!needsText(message, toolFormat, data.chatTemplate)) return message;
          const { toolCalls = [], content, ...rest } = message;
          return { ...rest, content: withCalls(toolFormat, content ?? "", toolCalls) };
        });
      }
      const { renderChat } = await import("../tokenizer/chat-template.js");
      const bosToken = special(data.bosId);
      const text = renderChat(data, shown.map(templateMessage), {
        addGenerationPrompt,
        bosToken,
        eosToken: special(data.eosIds[0]),
        fallback: true,
        ownMarks: [toolFormat.open, toolFormat.close],
        ...(tools?.length ? { tools: tools.map(templateTool) } : {}),
      });
      // Some templates write the first token themselves, others leave it to the tokenizer.
      return tokenizer.addBos && bosToken && !text.startsWith(bosToken) ? bosToken + text : text;
    },
  });
}

/** Whether calls have to be put into the text: the template leaves them out, or refuses more than one (Llama 3). */
function needsText({ toolCalls = [] }: ChatMessage, format: ToolFormat, template = ""): boolean {
  const dropped = !/\btool_calls\b/.test(template) || (format.name === "llama3" && toolCalls.length > 1);
  return toolCalls.length > 0 && format.calls === "json" && format !== fenced && dropped;
}

/** A message with the names templates know: those of the OpenAI API. */
function templateMessage({ toolCalls, toolCallId, finishReason: _, ...message }: ChatMessage) {
  return {
    ...message,
    content: message.content ?? "",
    ...(toolCalls?.length
      ? {
          tool_calls: toolCalls.map(({ id, name, arguments: text }) => ({
            id,
            type: "function",
            function: { name, arguments: parsed(text) },
          })),
        }
      : {}),
    ...(toolCallId === undefined ? {} : { tool_call_id: toolCallId }),
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
