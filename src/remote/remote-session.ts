import type { GenerateOptions, Piece, PrefillOptions, Session, SignalOptions, TokenIds } from "../types.js";
import type { Endpoint } from "./endpoint.js";
import { streamPieces } from "./stream-pieces.js";

/** What the model does for its sessions. */
interface SessionOwner {
  fork(options: SignalOptions): Promise<Session>;
  drop(): Promise<void>;
}

/** A session of a model in another thread. Its length is that of the latest answer. */
export class RemoteSession implements Session {
  length = 0;
  readonly name: string;
  readonly #endpoint: Endpoint;
  readonly #model: SessionOwner;

  constructor(endpoint: Endpoint, name: string, model: SessionOwner) {
    this.#endpoint = endpoint;
    this.name = name;
    this.#model = model;
  }

  prefill(ids: TokenIds, options: PrefillOptions = {}): Promise<Float32Array> {
    return this.#endpoint.call(this.name, "prefill", [plain(ids), options]);
  }

  step(id: number, options: SignalOptions = {}): Promise<Float32Array> {
    return this.#endpoint.call(this.name, "step", [id, options]);
  }

  generate(prompt: string | TokenIds, options: GenerateOptions = {}): AsyncIterable<Piece> {
    return streamPieces(this.#endpoint, this.name, "generate", [plain(prompt), options]);
  }

  truncate(length: number): Promise<number> {
    return this.#endpoint.call(this.name, "truncate", [length]);
  }

  fork(options: SignalOptions = {}): Promise<Session> {
    return this.#model.fork(options);
  }

  save(options: SignalOptions = {}): Promise<Uint8Array> {
    return this.#endpoint.call(this.name, "save", [options]);
  }

  async dispose(): Promise<void> {
    this.length = 0;
    await this.#model.drop();
  }
}

/** Longer lists than this are no prompts: the other side refuses them by their length. */
const LONGEST = 2 ** 24;

/** Ids, text or messages in a form that can be cloned. */
export function plain<Ids extends string | TokenIds | readonly unknown[]>(ids: Ids): Ids | unknown[] {
  if (typeof ids !== "object" || ids === null || Array.isArray(ids) || ArrayBuffer.isView(ids)) return ids;
  const { length } = ids;
  return Number.isInteger(length) && length >= 0 && length <= LONGEST ? Array.from(ids) : ids;
}
