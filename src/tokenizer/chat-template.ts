import { Environment, Template } from "@huggingface/jinja";
import { TokenizerError } from "../errors.js";
import type { TokenizerData } from "../formats/model-file.js";
import { BudgetedInterpreter } from "./budgeted-interpreter.js";
import { fallbackTemplate } from "./fallback-template.js";
import { SpecialTokens } from "./special-tokens.js";
import { strftime } from "./strftime.js";

/** One message of a conversation. Further fields are passed to the template as they are. */
export interface ChatMessage {
  /** `system`, `user`, `assistant`, or what else the template knows. */
  role: string;
  content: string;
  [field: string]: unknown;
}

/** Options of `renderChat`. */
export interface ChatOptions {
  /** End with the beginning of the assistant's next message. Default false. */
  addGenerationPrompt?: boolean | undefined;
  /** Text of the first token, for templates that write it. Default: that of the vocabulary. */
  bosToken?: string | undefined;
  /** Text of the token that ends a text. Default: that of the first of `eosIds`. */
  eosToken?: string | undefined;
  /** The date a template writes, for example "26 Jul 2024". Default: it asks for today's. */
  dateString?: string | undefined;
  /** What `strftime_now` in a template takes as now. Default: now. */
  now?: Date | undefined;
  /** Tools the model may call, in the form the template expects. */
  tools?: readonly unknown[] | undefined;
  /**
   * Mark special tokens written out in messages and tools, wherever a text stands in them, so that
   * `encode(text, { special: true })` takes them as plain text: nobody can end his turn or speak as somebody else. So are
   * user-defined tokens such as `<think>` and `<tool_call>`, but in the assistant's own messages. The
   * mark is a few noncharacters inside such a text and nothing otherwise; `encode` takes it out. Default true.
   */
  protect?: boolean | undefined;
  /** Special tokens an assistant's own messages may hold all the same: the marks of its calls of tools. */
  ownMarks?: readonly string[] | undefined;
  /** Use `fallbackTemplate` when the model has no template. Default false. */
  fallback?: boolean | undefined;
}

/** Longest `range` a template may ask for: a model file must not be able to hang its reader. */
const longestRange = 100_000;
/** What a template may use up, and more for each message and tool, and each character of them. */
const budget = { steps: 2_000_000, stepsEach: 2000, characters: 4 << 20, charactersEach: 64 };

interface Prepared {
  template: Template;
  special: SpecialTokens;
}
const prepared = new WeakMap<TokenizerData, Map<string, Prepared>>();

/**
 * Renders a conversation with the model's chat template. Encode the result with `special: true`; whether the first token
 * is in it is up to the template (`addBos` of `encode` does not put it there twice).
 * @throws TokenizerError when the model has no template, or the template fails or refuses the messages
 */
export function renderChat(data: TokenizerData, messages: readonly ChatMessage[], options: ChatOptions = {}): string {
  const { addGenerationPrompt = false, dateString, now = new Date(), tools, protect = true, ownMarks = [] } = options;
  const { template, special } = prepare(data, options.fallback ?? false);
  const text = (id: number | undefined) => (id === undefined ? "" : (data.tokens[id] ?? ""));
  try {
    const size = countCharacters([messages, tools]);
    const told = protect && tools ? protectAll(tools, (text) => special.protect(text, true)) : tools;
    const environment = new Environment();
    const interpreter = new BudgetedInterpreter(environment, {
      steps: budget.steps + budget.stepsEach * (messages.length + (tools?.length ?? 0)) + size,
      characters: budget.characters + budget.charactersEach * size,
    });
    // What `Template.render` declares (and the name that SmolLM3 has for tools), but with a clock of our own and a range that ends.
    const variables: Record<string, unknown> = {
      true: true,
      True: true,
      false: false,
      False: false,
      none: null,
      None: null,
      messages: protect ? messages.map((message) => protectMessage(message, special, ownMarks)) : messages,
      add_generation_prompt: addGenerationPrompt,
      bos_token: options.bosToken ?? text(data.bosId),
      eos_token: options.eosToken ?? text(data.eosIds[0]),
      ...(dateString === undefined ? {} : { date_string: dateString }),
      ...(told === undefined ? {} : { tools: told, xml_tools: told }),
      strftime_now: (format: unknown) => strftime(now, typeof format === "string" ? format.slice(0, 1000) : ""),
      raise_exception: (message: unknown) => {
        throw new TokenizerError(
          typeof message === "string" ? message.slice(0, 1000) : "The template refuses the messages",
        );
      },
      range: (start: number, stop?: number | null, step?: number) => {
        const list = boundedRange(start, stop, step);
        interpreter.spendSteps(list.length);
        return list;
      },
    };
    for (const [name, value] of Object.entries(variables)) environment.set(name, value);
    return String(interpreter.run(template.parsed).value);
  } catch (cause) {
    throw new TokenizerError(
      `The chat template failed: ${cause instanceof Error ? cause.message : String(cause)}`,
      { key: "tokenizer.chat_template" },
      undefined,
      { cause },
    );
  }
}

function prepare(data: TokenizerData, fallback: boolean): Prepared {
  const source = data.chatTemplate ?? (fallback ? fallbackTemplate(data).template : undefined);
  if (source === undefined)
    throw new TokenizerError(
      "The model has no chat template",
      { key: "tokenizer.chat_template" },
      "It was probably not trained for conversations: give it a text to continue instead",
    );
  let forData = prepared.get(data);
  if (!forData) {
    forData = new Map();
    prepared.set(data, forData);
  }
  let found = forData.get(source);
  if (!found) {
    try {
      found = { template: new Template(source), special: new SpecialTokens(data) };
    } catch (cause) {
      throw new TokenizerError(
        `The chat template cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`,
        { key: "tokenizer.chat_template" },
        undefined,
        { cause },
      );
    }
    forData.set(source, found);
  }
  return found;
}

/** Thoughts and calls of tools in an answer are the model's own: templates look for their marks, and take old ones out. */
function protectMessage(message: ChatMessage, special: SpecialTokens, marks: readonly string[]): unknown {
  if (message?.role !== "assistant") return protectAll(message, (text) => special.protect(text, true));
  return protectAll(message, (text) =>
    marks.reduce(
      (marked, mark) => (mark ? marked.replaceAll(special.protect(mark), mark) : marked),
      special.protect(text),
    ),
  );
}

/** Protects every text in a value, keys included. */
function protectAll(value: unknown, protect: (text: string) => string): unknown {
  if (typeof value === "string") return protect(value);
  if (Array.isArray(value)) return value.map((each) => protectAll(each, protect));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [protect(key), protectAll(each, protect)]));
}

function countCharacters(value: unknown): number {
  if (typeof value === "string") return value.length;
  if (typeof value !== "object" || value === null) return 8;
  return Object.entries(value).reduce((sum, [key, each]) => sum + key.length + countCharacters(each), 0);
}

function boundedRange(start: number, stop?: number | null, step = 1): number[] {
  const [from, to] = stop === undefined || stop === null ? [0, start] : [start, stop];
  const count = Math.max(0, Math.ceil((to - from) / step));
  if (!(count <= longestRange)) throw new TokenizerError(`range(${from}, ${to}, ${step}) is too long`);
  return Array.from({ length: count }, (_, i) => from + i * step);
}
