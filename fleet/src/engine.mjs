import { Worker } from "node:worker_threads";
import { canonical, settled } from "./requests.mjs";

/** A model on a thread of its own, asked as the server of one machine is asked. */
export class Engine {
  #thread;
  #pending = new Map();
  #next = 0;
  /** Rejects when the thread ends without being told to. */
  failed;

  /**
   * @param {{ source: string, options?: object, parallel?: number, timeout?: number }} settings `timeout`: seconds one
   * job may take
   */
  constructor({ source, options = {}, parallel = 4, timeout = 3600 }) {
    this.#thread = new Worker(new URL("./engine-thread.mjs", import.meta.url), {
      workerData: { source, options, parallel, timeout },
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

  #ask(url, body) {
    return new Promise((resolve, reject) => {
      const number = this.#next++;
      this.#pending.set(number, { resolve, reject });
      this.#thread.postMessage({ number, url, body });
    });
  }

  /**
   * `system_fingerprint` of the model with its load options: equal where answers are equal. Loads the model.
   * @throws Error with the server's message where the model cannot be loaded
   */
  async fingerprint() {
    const { status, body } = await this.#ask("/props");
    if (status !== 200) throw new Error(body?.error?.message ?? `The model answers with status ${status}`);
    return body.system_fingerprint;
  }

  /**
   * Computes a job: status and body as bytes that are the same on every machine. Requests that are refused (4xx) are
   * results too.
   * @throws Error for what another try may mend: 408, 429, 499 and 5xx
   */
  async compute(job) {
    const { status, body } = await this.#ask(job.url, job.body);
    if (status >= 500 || [408, 429, 499].includes(status))
      throw new Error(body?.error?.message ?? `The model answers with status ${status}`);
    return canonical({ status, body: settled(job, body) });
  }

  async close() {
    await this.#thread.terminate();
  }
}
