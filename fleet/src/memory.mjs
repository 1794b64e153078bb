import { totalmem } from "node:os";

/** What the kernels can address, and what code, scratch and activations take of it, roughly. */
const MOST = 2 ** 32;
const OTHER = 64 << 20;

export const mebibytes = (bytes) => `${Math.ceil(bytes / 2 ** 20)} MiB`;

/** Bytes a machine has for keys and values of jobs: of `limit` (default: 90 % of its memory) what the model leaves. */
export function roomFor(props, limit = totalmem() * 0.9) {
  return Math.min(limit, MOST) - props.weight_bytes - OTHER;
}

/** Bytes of keys and values a request takes at most: a token has at least one byte of text. */
export function needOf(props, { url, body }) {
  const { n_ctx: context } = props.default_generation_settings;
  const prompt = Buffer.byteLength(JSON.stringify(body.messages ?? body.prompt ?? body.input ?? ""));
  const written = url === "/v1/embeddings" ? 0 : (body.max_completion_tokens ?? body.max_tokens ?? context);
  const tokens = Number.isFinite(written) && written > 0 ? Math.min(context, prompt + written) : context;
  const answers = Number.isInteger(body.n) && body.n > 0 ? body.n : 1;
  const prompts = Array.isArray(body.prompt ?? body.input) ? 1 + (body.prompt ?? body.input).length : 1;
  return tokens * Math.min(answers * prompts, 128) * props.kv_bytes_per_token;
}

/** Lets jobs in as long as they fit together; the others wait in their order. */
export class Room {
  #free;
  #waiting = [];

  constructor(bytes) {
    this.bytes = bytes;
    this.#free = bytes;
  }

  /** @returns {Promise<() => void>} what is called when the job is over */
  async enter(need) {
    if (this.#waiting.length > 0 || need > this.#free)
      await new Promise((resolve) => this.#waiting.push({ need, resolve }));
    else this.#free -= need;
    return () => {
      this.#free += need;
      while (this.#waiting.length > 0 && this.#waiting[0].need <= this.#free) {
        const next = this.#waiting.shift();
        this.#free -= next.need;
        next.resolve();
      }
    };
  }
}
