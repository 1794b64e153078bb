import { checkSignal } from "../check-signal.js";
import { OptionError, SessionError } from "../errors.js";
import type { GenerateOptions } from "../types/generate-options.js";
import type { ChatMessage } from "../types/messages.js";
import type { FinishReason, Piece, PieceReader } from "../types/results.js";
import type { ToolCall } from "../types/tools.js";
import type { Chat, ChatOptions, SignalOptions, TokenIds } from "../types.js";
import { answer } from "./answer.js";
import { readChat, saveChat } from "./chat-saved.js";
import { Conversation } from "./conversation.js";
import { noEnd } from "./generate.js";
import { checkFits, checkMessages } from "./prompt.js";
import { EngineSession, type SessionHost } from "./session.js";
import type { TemplateTokenizer } from "./template.js";
import { collectCall } from "./tool-calls.js";

/** A conversation over one session: each turn computes only what is new in it. */
export class EngineChat implements Chat {
  /** Grows with every change of `messages`. */
  revision = 0;
  readonly #host: SessionHost;
  readonly #tokenizer: TemplateTokenizer;
  #session: EngineSession;
  #conversation = new Conversation();
  #busy = false;

  constructor(host: SessionHost, tokenizer: TemplateTokenizer, options: ChatOptions = {}) {
    this.#host = host;
    this.#tokenizer = tokenizer;
    this.#conversation.messages = structuredClone([...(options.messages ?? [])]);
    checkMessages(this.#conversation.messages);
    if (options.system !== undefined) this.#conversation.setSystem(options.system);
    this.#session = new EngineSession(host);
  }

  get messages(): readonly ChatMessage[] {
    return structuredClone(this.#conversation.messages);
  }

  send(
    message: string | ChatMessage | readonly ChatMessage[],
    options: GenerateOptions = {},
    reader?: PieceReader,
  ): AsyncGenerator<Piece> {
    return this.#alone(() => {
      const given = typeof message === "string" ? [{ role: "user", content: message }] : [message].flat();
      if (message === "" || given.length === 0) throw new OptionError("The message is empty", { key: "message" });
      checkMessages(given);
      return this.#answer(this.#conversation.messages, given, options, { reader });
    });
  }

  regenerate(options: GenerateOptions = {}, reader?: PieceReader): AsyncGenerator<Piece> {
    return this.#alone(() => {
      const { messages } = this.#conversation;
      const last = messages.at(-1);
      const kept = last?.role === "assistant" ? messages.slice(0, -1) : messages;
      if (!kept.some(({ role }) => role !== "system"))
        throw new SessionError("There is no message to answer", {}, "Send one first");
      return this.#answer(kept, [], options, { reader });
    });
  }

  continue(options: GenerateOptions = {}, reader?: PieceReader): AsyncGenerator<Piece> {
    return this.#alone(() => {
      const { messages } = this.#conversation;
      const last = messages.at(-1);
      if (last?.role !== "assistant" || last.toolCalls?.length)
        throw new SessionError("The last message is not an answer that could go on", {}, "Send a message first");
      return this.#answer(messages.slice(0, -1), [], options, { reader, begun: last.content ?? "" });
    });
  }

  async edit(index: number, content: string): Promise<void> {
    this.#idle();
    this.#conversation.edit(index, content);
    this.revision++;
  }

  async setSystem(system: string | undefined): Promise<void> {
    this.#idle();
    this.#conversation.setSystem(system);
    this.revision++;
  }

  async fork(options: SignalOptions = {}): Promise<Chat> {
    this.#idle();
    const session = await this.#session.fork(options);
    const chat = new EngineChat(this.#host, this.#tokenizer);
    await chat.#session.dispose();
    chat.#session = session;
    chat.#conversation = this.#conversation.copy();
    return chat;
  }

  async save({
    computed = true,
    signal,
  }: SignalOptions & { computed?: boolean | undefined } = {}): Promise<Uint8Array> {
    this.#idle();
    checkSignal(signal);
    signal?.throwIfAborted();
    const session = computed && this.#session.length > 0 ? await this.#session.save({ signal }) : new Uint8Array();
    return saveChat(this.#conversation, session);
  }

  async restore(bytes: Uint8Array, { signal }: SignalOptions = {}): Promise<void> {
    this.#idle();
    checkSignal(signal);
    signal?.throwIfAborted();
    const { conversation, session: saved } = readChat(bytes, this.#host.engine.config.vocab);
    const session = new EngineSession(this.#host);
    try {
      if (saved) await session.restore(saved, { signal });
    } catch (error) {
      await session.dispose();
      throw error;
    }
    await this.#session.dispose();
    this.#session = session;
    this.#conversation = conversation;
    this.revision++;
  }

  async dispose(): Promise<void> {
    await this.#session.dispose();
  }

  async *#alone(pieces: () => AsyncIterable<Piece>): AsyncGenerator<Piece, void, undefined> {
    this.#idle();
    this.#session.assertLive();
    this.#busy = true;
    try {
      yield* pieces();
    } finally {
      this.#busy = false;
    }
  }

  /**
   * Answers `base` and `given`.
   * @param begun what the answer begins with already
   */
  async *#answer(
    base: readonly ChatMessage[],
    given: readonly ChatMessage[],
    options: GenerateOptions,
    { begun = "", reader }: { begun?: string; reader?: PieceReader | undefined } = {},
  ): AsyncGenerator<Piece, void, undefined> {
    const conversation = this.#conversation.copy();
    conversation.messages = [...base, ...given];
    const overflow = options.contextOverflow ?? "shift";
    const tools = options.toolChoice === "none" ? undefined : options.tools;
    let prompt = await this.#fitting(conversation, options, overflow, begun);
    const promptLength = prompt.tokens.length;
    /** The context is full in the middle of the answer: older turns go first, then the middle of this one. */
    const makeRoom = async (all: readonly number[]): Promise<TokenIds | undefined> => {
      const answered = all.slice(promptLength);
      const { contextLength } = this.#host;
      const half = Math.floor(contextLength / 2);
      let droppedMessages = 0;
      for (let more = -1; more !== 0 && prompt.tokens.length + answered.length > half; ) {
        more = conversation.dropTurn(conversation.seen());
        droppedMessages += more;
        if (more > 0) prompt = await conversation.render(this.#tokenizer, conversation.seen(), tools, begun);
      }
      const room = contextLength - prompt.tokens.length;
      if (room < contextLength / 4) return undefined;
      const kept = [...prompt.tokens, ...answered.slice(-Math.floor(room / 2))];
      this.#tell(options, all.length - kept.length, droppedMessages);
      return kept;
    };
    const end = noEnd();
    const made: Piece[] = [];
    try {
      const pieces = answer(
        this.#host,
        this.#tokenizer,
        this.#session,
        this.#session.replace(prompt.tokens),
        { ...options, contextOverflow: overflow },
        { end, begun, reader, makeRoom: overflow === "shift" ? makeRoom : undefined },
      );
      for await (const piece of pieces) {
        made.push(piece);
        yield piece;
      }
    } finally {
      const read = made.slice(0, reader?.taken());
      const written = read.map(({ text }) => text).join("");
      const reason: FinishReason = read.at(-1)?.finishReason ?? "abort";
      const calls: ToolCall[] = [];
      for (const { toolCallDelta } of read) collectCall(calls, toolCallDelta);
      // An aborted prefill leaves the conversation as it was; the tokens already computed are found again next time.
      if (end.tokens.length > 0 || reason !== "abort") {
        const content = calls.length > 0 && begun + written === "" ? null : begun + written;
        const message: ChatMessage = { role: "assistant", content, finishReason: reason };
        if (calls.length > 0) message.toolCalls = calls;
        conversation.messages.push(message);
        // A stop text is among the tokens but not in the answer, and tool calls are written by the template.
        const faithful = calls.length === 0 && (reason !== "stop" || end.ended);
        const tokens = end.ended ? end.tokens.slice(0, -1) : end.tokens;
        conversation.remember(prompt, faithful ? { text: written, tokens } : undefined);
        this.#conversation = conversation;
        this.revision++;
      }
    }
  }

  /** The conversation as tokens that leave room for an answer; drops the oldest turns where they do not. */
  async #fitting(
    conversation: Conversation,
    options: GenerateOptions,
    overflow: "error" | "stop" | "shift",
    begun: string,
  ): Promise<{ text: string; tokens: number[] }> {
    const { contextLength } = this.#host;
    const tools = options.toolChoice === "none" ? undefined : options.tools;
    const render = () => conversation.render(this.#tokenizer, conversation.seen(), tools, begun);
    let rendered = await render();
    const before = rendered.tokens.length;
    const reserve = Math.min(options.maxTokens ?? contextLength, Math.floor(contextLength / 4));
    if (overflow === "shift" && before + reserve > contextLength) {
      let droppedMessages = 0;
      // Down to half of the context, so that it does not happen in every turn: all that is kept is computed again.
      while (rendered.tokens.length > contextLength / 2) {
        const more = conversation.dropTurn(conversation.seen());
        if (more === 0) break;
        droppedMessages += more;
        rendered = await render();
      }
      if (droppedMessages > 0) this.#tell(options, before - rendered.tokens.length, droppedMessages);
      // The newest turn alone does not fit.
      checkFits(rendered.tokens.length, contextLength, {});
    }
    return rendered;
  }

  #tell(options: GenerateOptions, droppedTokens: number, droppedMessages: number): void {
    const what =
      droppedMessages > 0
        ? `the oldest ${droppedMessages} messages were dropped`
        : "the beginning of the answer was dropped";
    options.onContextShift?.({
      droppedTokens,
      droppedMessages,
      note: `The context of ${this.#host.contextLength} tokens is full: ${what}, the system prompt and the newest are kept`,
    });
  }

  #idle(): void {
    if (this.#busy) throw new SessionError("This chat is still answering", {}, "Await the answer or break off first");
  }
}
