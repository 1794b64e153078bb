import { Worker } from "node:worker_threads";
import { canonical, settled } from "./requests.mjs";

/** A model on a thread of its own, asked as the server of one machine is asked. */
export class Engine {
  #thread;
  #pending = new Map();
  #next = 0;
  /** Rejects when the thread ends without being told to. */
  failed;

  /** @param {{ source: string, options?: object, timeout?: number }} settings `timeout`: seconds one job may take */
  constructor({ source, options = {}, timeout = 3600 }) {
    this.#thread = new Worker(new URL("./engine-thread.mjs", import.meta.url), {
      workerData: { source, options, timeout },
    });
    this.#thread.on("message", ({ number, error, ...answer }) => {
      const waiting = this.#pending.get(number);
      this.#pending.delete(number);
      if (error) waiting?.reject(new Error(error));
      else waiting?.resolve(answer);
    });
    this.failed = new Promise((_, reject) => {
      const fail = (error) => {
        for (const waiting of this.#pending.values()) waiting.reject(error);
        this.#pending.clear();
        reject(error);
      };
      this.#thread.on("error", fail);
      this.#thread.on("exit", (code) => fail(new Error(`The model's thread ended with code ${code}`)));
    });
    this.failed.catch(() => undefined);
  }

  #send(message) {
    return new Promise((resolve, reject) => {
      const number = this.#next++;
      this.#pending.set(number, { resolve, reject });
      this.#thread.postMessage({ number, ...message });
    });
  }

  async #ask(url, body) {
    const { status, body: answer } = await this.#send({ url, body });
    if (status >= 500 || [408, 429, 499].includes(status) || (!body && status !== 200))
      throw new Error(answer?.error?.message ?? `The model answers with status ${status}`);
    return { status, body: answer };
  }

  /**
   * What the model is, as the server tells: `system_fingerprint` of model and load options, equal where answers are equal;
   * `model_fingerprint` of the model alone; bytes of its weights and per token. Loads the model.
   * @throws Error with the server's message where the model cannot be loaded
   */
  async props() {
    return (await this.#ask("/props")).body;
  }

  /**
   * Computes a job: status and body as bytes that are the same on every machine. Requests that are refused (4xx) are
   * results too.
   * @returns {Promise<{ bytes: string, tokens: number }>} `tokens`: written
   * @throws Error for what another try may mend: 408, 429, 499 and 5xx
   */
  async compute(job) {
    const { status, body } = await this.#ask(job.url, job.body);
    return {
      bytes: canonical({ status, body: settled(job, body) }),
      tokens: body.usage?.completion_tokens ?? 0,
    };
  }

  /**
   * Lets other machines have the model's file.
   * @returns {Promise<{ port: number, sha256?: string }>} no hash: the model is not one GGUF file
   */
  async share(host, port) {
    const { port: taken } = await this.#send({ share: { host, port } });
    const { data } = (await this.#ask("/files")).body;
    return { port: taken, sha256: data[0]?.sha256 };
  }

  async close() {
    await this.#thread.terminate();
  }
}
