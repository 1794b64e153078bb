import type { Chat, ChatMessage, GenerateOptions, JsonSchema, Model } from "deltallm";
import { OptionError, UnsupportedError } from "deltallm";

/** A message of the Prompt API. */
export interface LanguageModelMessage {
  role: "system" | "user" | "assistant";
  content: string | { type: "text" | "image" | "audio"; value: unknown }[];
  /** Of the last message, an assistant's: the answer begins with it. */
  prefix?: boolean;
}

/** What is prompted: a user's text, or messages. */
export type LanguageModelPrompt = string | LanguageModelMessage[];

/** Options of `prompt` and `promptStreaming`. */
export interface PromptOptions {
  /** A JSON Schema, or a regular expression for the whole answer. */
  responseConstraint?: JsonSchema | RegExp;
  signal?: AbortSignal;
}

/** Options of `create`. */
export interface CreateOptions {
  initialPrompts?: LanguageModelMessage[];
  temperature?: number;
  topK?: number;
  signal?: AbortSignal;
  /** Given an EventTarget that gets `downloadprogress` events with `loaded`, 0 … 1. */
  monitor?: (monitor: EventTarget) => void;
}

/**
 * The shape of the browsers' Prompt API over a model: `LanguageModel.create()`, `session.prompt()`, `promptStreaming()`,
 * `append()`, `clone()`, `destroy()`, usage and overflow events. Text only.
 * @param load a loaded model, or a function that loads one when a session is first created
 * @param defaults generation options of all sessions
 */
export function createLanguageModel(
  load: Model | ((onProgress: (fraction: number) => void) => Promise<Model>),
  defaults: GenerateOptions = {},
) {
  let loading: Promise<Model> | undefined;
  let ready = typeof load !== "function";
  const open = (tell: (fraction: number) => void): Promise<Model> => {
    if (typeof load !== "function") return Promise.resolve(load);
    loading ??= load(tell).then(
      (model) => {
        ready = true;
        return model;
      },
      (error: unknown) => {
        loading = undefined;
        throw error;
      },
    );
    return loading;
  };
  return {
    /** `available`, `downloading`, or `downloadable` where the model is loaded at the first `create`. */
    async availability(): Promise<"available" | "downloading" | "downloadable"> {
      return ready ? "available" : loading ? "downloading" : "downloadable";
    },
    async params() {
      return { defaultTopK: 40, maxTopK: 1000, defaultTemperature: 0.8, maxTemperature: 2 };
    },
    async create(options: CreateOptions = {}): Promise<LanguageModelSession> {
      options.signal?.throwIfAborted();
      const monitor = new EventTarget();
      options.monitor?.(monitor);
      const model = await open((loaded) => {
        monitor.dispatchEvent(Object.assign(new Event("downloadprogress"), { loaded, total: 1 }));
      });
      options.signal?.throwIfAborted();
      const messages = (options.initialPrompts ?? []).map(toMessage);
      const { topK, temperature } = options;
      const sampling = {
        ...(topK === undefined ? {} : { topK }),
        ...(temperature === undefined ? {} : { temperature }),
      };
      return new LanguageModelSession(model, model.createChat({ messages }), { ...defaults, ...sampling });
    },
  };
}

/** A session of the Prompt API. */
export class LanguageModelSession extends EventTarget {
  readonly topK: number;
  readonly temperature: number;
  /** Called with the `contextoverflow` event: earlier messages were dropped. */
  oncontextoverflow: ((event: Event) => void) | null = null;
  readonly #model: Model;
  readonly #chat: Chat;
  readonly #options: GenerateOptions;
  /** Messages that were appended and not answered yet. */
  #appended: ChatMessage[] = [];
  #used = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(model: Model, chat: Chat, options: GenerateOptions) {
    super();
    this.#model = model;
    this.#chat = chat;
    this.#options = options;
    this.topK = options.topK ?? 40;
    this.temperature = options.temperature ?? 0.8;
  }

  /** Most tokens of the session. */
  get contextWindow(): number {
    return this.#model.contextLength;
  }

  /** Tokens of the conversation so far. */
  get contextUsage(): number {
    return this.#used;
  }

  /** The former name of `contextWindow`. */
  get inputQuota(): number {
    return this.contextWindow;
  }

  /** The former name of `contextUsage`. */
  get inputUsage(): number {
    return this.#used;
  }

  async prompt(input: LanguageModelPrompt, options: PromptOptions = {}): Promise<string> {
    let text = "";
    for await (const piece of this.#answer(input, options)) text += piece;
    return text;
  }

  promptStreaming(input: LanguageModelPrompt, options: PromptOptions = {}): ReadableStream<string> {
    const pieces = this.#answer(input, options);
    return new ReadableStream<string>({
      async pull(controller) {
        const { done, value } = await pieces.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        await pieces.return(undefined);
      },
    });
  }

  /** Adds messages that the next prompt's answer takes into account. */
  async append(input: LanguageModelPrompt): Promise<void> {
    this.#appended.push(...toMessages(input));
  }

  /** Tokens a prompt would take. */
  async measureContextUsage(input: LanguageModelPrompt): Promise<number> {
    const { tokenizer } = this.#model;
    const text = await tokenizer.applyTemplate(toMessages(input), { addGenerationPrompt: false });
    return tokenizer.encode(text, { special: true }).length;
  }

  /** The former name of `measureContextUsage`. */
  measureInputUsage(input: LanguageModelPrompt): Promise<number> {
    return this.measureContextUsage(input);
  }

  async clone(options: { signal?: AbortSignal } = {}): Promise<LanguageModelSession> {
    await this.#last;
    const clone = new LanguageModelSession(this.#model, await this.#chat.fork(options), this.#options);
    clone.#appended = [...this.#appended];
    clone.#used = this.#used;
    return clone;
  }

  destroy(): void {
    void this.#chat.dispose();
  }

  /** Prompts wait for each other, as in browsers. */
  async *#answer(input: LanguageModelPrompt, options: PromptOptions): AsyncGenerator<string, void, undefined> {
    const before = this.#last;
    let finish = () => {};
    this.#last = new Promise<void>((resolve) => {
      finish = resolve;
    });
    await before;
    try {
      const given = [...this.#appended, ...toMessages(input)];
      const prefix = typeof input === "string" ? undefined : input.findLast(({ prefix }) => prefix);
      if (prefix)
        throw new UnsupportedError("An answer that begins with a given prefix is not supported", { key: "prefix" });
      if (given.at(-1)?.role === "system") throw new OptionError("There is nothing to answer", { key: "input" });
      for await (const { text, usage } of this.#chat.send(given, { ...this.#options, ...this.#constraint(options) })) {
        if (usage) this.#used = usage.promptTokens + usage.completionTokens;
        if (text) yield text;
      }
      this.#appended = [];
    } finally {
      finish();
    }
  }

  #constraint({ responseConstraint, signal }: PromptOptions): GenerateOptions {
    return {
      signal,
      ...(responseConstraint instanceof RegExp ? { regex: responseConstraint } : {}),
      ...(responseConstraint !== undefined && !(responseConstraint instanceof RegExp)
        ? { schema: responseConstraint }
        : {}),
      onContextShift: () => {
        const event = new Event("contextoverflow");
        this.dispatchEvent(event);
        this.oncontextoverflow?.(event);
      },
    };
  }
}

function toMessages(input: LanguageModelPrompt): ChatMessage[] {
  return typeof input === "string" ? [{ role: "user", content: input }] : input.map(toMessage);
}

function toMessage({ role, content }: LanguageModelMessage): ChatMessage {
  if (typeof content === "string") return { role, content };
  return {
    role,
    content: content
      .map(({ type, value }) => {
        if (type !== "text") throw new UnsupportedError(`Input of type ${type} is not supported`, { key: "content" });
        return String(value);
      })
      .join(""),
  };
}
