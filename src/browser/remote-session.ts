import type { PrefillOptions, Session, TokenIds } from "../types.js";
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

/** Ids in a form that can be cloned. */
export function plain(ids: string | TokenIds): string | TokenIds {
  return typeof ids === "string" || Array.isArray(ids) || ArrayBuffer.isView(ids) ? ids : Array.from(ids);
}
