import type { Chat, ChatMessage, ChatOptions, GenerateOptions, Piece, SignalOptions } from "../types.js";
import type { Endpoint } from "./endpoint.js";
import { streamPieces } from "./stream-pieces.js";

/** What the model does for its chats. */
interface ChatOwner {
  fork(options: SignalOptions): Promise<Chat>;
  drop(): Promise<void>;
}

/** A chat of a model in another thread. Its messages are those of the latest answer. */
export class RemoteChat implements Chat {
  messages: readonly ChatMessage[];
  readonly name: string;
  readonly #endpoint: Endpoint;
  readonly #model: ChatOwner;

  constructor(endpoint: Endpoint, name: string, options: ChatOptions, model: ChatOwner) {
    const { system, messages = [] } = options;
    const others = system !== undefined && messages[0]?.role === "system" ? messages.slice(1) : messages;
    this.messages = system === undefined ? messages : [{ role: "system", content: system }, ...others];
    this.#endpoint = endpoint;
    this.name = name;
    this.#model = model;
  }

  send(message: string | ChatMessage | readonly ChatMessage[], options: GenerateOptions = {}): AsyncIterable<Piece> {
    return streamPieces(this.#endpoint, this.name, "send", [message, options]);
  }

  regenerate(options: GenerateOptions = {}): AsyncIterable<Piece> {
    return streamPieces(this.#endpoint, this.name, "regenerate", [options]);
  }

  continue(options: GenerateOptions = {}): AsyncIterable<Piece> {
    return streamPieces(this.#endpoint, this.name, "continue", [options]);
  }

  edit(index: number, content: string): Promise<void> {
    return this.#endpoint.call(this.name, "edit", [index, content]);
  }

  setSystem(system: string | undefined): Promise<void> {
    return this.#endpoint.call(this.name, "setSystem", [system]);
  }

  fork(options: SignalOptions = {}): Promise<Chat> {
    return this.#model.fork(options);
  }

  save(options: SignalOptions & { computed?: boolean | undefined } = {}): Promise<Uint8Array> {
    return this.#endpoint.call(this.name, "save", [options]);
  }

  restore(bytes: Uint8Array, options: SignalOptions = {}): Promise<void> {
    return this.#endpoint.call(this.name, "restore", [bytes, options]);
  }

  dispose(): Promise<void> {
    return this.#model.drop();
  }
}
