import { OptionError, SessionError } from "../errors.js";
import type { ChatMessage } from "../tokenizer/chat-template.js";
import type { ModelTokenizer } from "../tokenizer/tokenizer.js";
import type { Chat, Piece } from "../types.js";
import { type GenerationEnd, generate } from "./generate.js";
import type { GenerateOptions } from "./options.js";
import { EngineSession, type SessionHost } from "./session.js";

/** Renders messages with the model's template, its first token included where the model wants one. */
export type RenderChat = (messages: readonly ChatMessage[], addGenerationPrompt: boolean) => Promise<string>;

/** A conversation over one session: each turn computes only what is new in it. */
export class EngineChat implements Chat {
  readonly #host: SessionHost;
  readonly #tokenizer: ModelTokenizer;
  readonly #render: RenderChat;
  readonly #session: EngineSession;
  readonly #messages: ChatMessage[] = [];
  /** Text and tokens of the conversation so far, as the model has seen or written them; no end of turn after an answer. */
  #text = "";
  #tokens: number[] = [];
  #busy = false;

  constructor(host: SessionHost, tokenizer: ModelTokenizer, render: RenderChat, system: string | undefined) {
    this.#host = host;
    this.#tokenizer = tokenizer;
    this.#render = render;
    if (system !== undefined) this.#messages.push({ role: "system", content: system });
    this.#session = new EngineSession(host);
  }

  async *send(message: string, options: GenerateOptions = {}): AsyncGenerator<Piece, void, undefined> {
    if (this.#busy) throw new SessionError("This chat is still answering", {}, "Await the answer or break off first");
    if (typeof message !== "string" || message === "")
      throw new OptionError("The message is empty", { key: "message" });
    this.#busy = true;
    try {
      yield* this.#answer(message, options);
    } finally {
      this.#busy = false;
    }
  }

  async dispose(): Promise<void> {
    await this.#session.dispose();
  }

  async *#answer(message: string, options: GenerateOptions): AsyncGenerator<Piece, void, undefined> {
    const messages: ChatMessage[] = [...this.#messages, { role: "user", content: message }];
    const text = await this.#render(messages, true);
    const tokens = this.#continue(text);
    const end: GenerationEnd = { tokens: [], ended: false };
    let answer = "";
    try {
      const kept = this.#keepCommonStart(tokens);
      const pieces = generate(this.#host, this.#tokenizer, this.#session, tokens.slice(kept), options, end);
      for await (const piece of pieces) {
        answer += piece.text;
        yield piece;
      }
    } finally {
      // An aborted prefill leaves the conversation as it was; the tokens already computed are found again next time.
      if (end.tokens.length > 0) {
        const written = end.ended ? end.tokens.slice(0, -1) : end.tokens;
        this.#messages.push({ role: "user", content: message }, { role: "assistant", content: answer });
        this.#text = text + answer;
        this.#tokens = [...tokens, ...written];
      }
    }
  }

  /** Tokens of `text`: those already seen, kept as they are, and the encoded rest. */
  #continue(text: string): number[] {
    if (this.#text !== "" && text.startsWith(this.#text))
      return [...this.#tokens, ...this.#tokenizer.encode(text.slice(this.#text.length), { special: true })];
    return [...this.#tokenizer.encode(text, { special: true })];
  }

  /** Takes back what the session holds beyond the common start with `tokens`; returns how many tokens stay. */
  #keepCommonStart(tokens: readonly number[]): number {
    const { ids } = this.#session;
    let common = 0;
    while (common < ids.length && common < tokens.length - 1 && ids[common] === tokens[common]) common++;
    return common < ids.length ? this.#session.truncate(common) : common;
  }
}
