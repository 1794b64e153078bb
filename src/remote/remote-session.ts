import type { GenerateOptions, Piece, PrefillOptions, Session, TokenIds } from "../types.js";
import type { Endpoint } from "./endpoint.js";

/** A session of a model in another thread. Its length is that of the latest answer. */
export class RemoteSession implements Session {
  length = 0;
  readonly name: string;
  readonly #endpoint: Endpoint;
  readonly #model: { fork(): Promise<Session>; drop(): Promise<void> };

  constructor(endpoint: Endpoint, name: string, model: { fork(): Promise<Session>; drop(): Promise<void> }) {
    this.#endpoint = endpoint;
    this.name = name;
    this.#model = model;
  }

  prefill(ids: TokenIds, options: PrefillOptions = {}): Promise<Float32Array> {
    return this.#endpoint.call(this.name, "prefill", [plain(ids), options]);
  }

  step(id: number): Promise<Float32Array> {
    return this.#endpoint.call(this.name, "step", [id]);
  }

  generate(prompt: string | TokenIds, options: GenerateOptions = {}): AsyncIterable<Piece> {
    return this.#endpoint.stream(this.name, "generate", [plain(prompt), options]);
  }

  truncate(length: number): Promise<number> {
    return this.#endpoint.call(this.name, "truncate", [length]);
  }

  fork(): Promise<Session> {
    return this.#model.fork();
  }

  save(): Promise<Uint8Array> {
    return this.#endpoint.call(this.name, "save", []);
  }

  async dispose(): Promise<void> {
    this.length = 0;
    await this.#model.drop();
  }
}

/** Ids, text or messages in a form that can be cloned. */
export function plain<Ids extends string | TokenIds | readonly unknown[]>(ids: Ids): Ids | unknown[] {
  return typeof ids === "string" || Array.isArray(ids) || ArrayBuffer.isView(ids) ? ids : Array.from(ids);
}
