import { OptionError, SessionError } from "../errors.js";
import type { Chat } from "../types.js";
import { generate, noEnd } from "./generate.js";
import type { ChatMessage } from "./messages.js";
import type { GenerateOptions } from "./options.js";
import type { Piece } from "./results.js";
import { EngineSession, type SessionHost } from "./session.js";
import type { TemplateTokenizer } from "./template.js";

/** A conversation over one session: each turn computes only what is new in it. */
export class EngineChat implements Chat {
  readonly #host: SessionHost;
  readonly #tokenizer: TemplateTokenizer;
  readonly #session: EngineSession;
  readonly #messages: ChatMessage[] = [];
  /** Text and tokens of the conversation so far, as the model has seen or written them; no end of turn after an answer. */
  #text = "";
  #tokens: number[] = [];
  #busy = false;

  constructor(host: SessionHost, tokenizer: TemplateTokenizer, system: string | undefined) {
    this.#host = host;
    this.#tokenizer = tokenizer;
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
    const text = await this.#tokenizer.applyTemplate(messages);
    const tokens = this.#continue(text);
    const end = noEnd();
    let answer = "";
    try {
      const next = this.#session.replace(tokens);
      const pieces = generate(this.#host, this.#tokenizer, this.#session, next, options, { end });
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
}
