import type { Choice, SampleOptions, Sampler, TokenIds } from "../types.js";
import type { Endpoint } from "./endpoint.js";
import { plain } from "./remote-session.js";

/** A sampler of a model in another thread. */
export class RemoteSampler implements Sampler {
  readonly #endpoint: Endpoint;
  readonly #name: string;
  readonly dispose: () => Promise<void>;

  constructor(endpoint: Endpoint, name: string, dispose: () => Promise<void>) {
    this.#endpoint = endpoint;
    this.#name = name;
    this.dispose = dispose;
  }

  sample(logits: Float32Array, history: TokenIds = [], options: SampleOptions = {}): Promise<Choice> {
    // A view of a larger array would take all of that along.
    const own =
      logits instanceof Float32Array && logits.length < logits.buffer.byteLength / 4 ? logits.slice() : logits;
    const { allowed } = options;
    return this.#endpoint.call(this.#name, "sample", [
      own,
      plain(history),
      allowed ? { ...options, allowed: plain(allowed) } : options,
    ]);
  }
}
