import { KernelError } from "../errors.js";
import { startNodeWorker } from "../model/start-worker.js";
import { nodeModules } from "../platform/node-modules.js";
import { workerArguments } from "../platform/worker-arguments.js";
import type { WorkerHandle } from "../threads/team.js";
import { type NodePort, portOf } from "./node-port.js";
import type { HostThread } from "./remote-model.js";

const here = import.meta.url;

/**
 * Starts a worker that owns a model. It keeps the process alive only while an answer is awaited.
 * @throws what kept the worker from starting
 */
export async function startNodeHost(): Promise<HostThread> {
  const workers = await nodeModules.workers();
  // Not the global class: bundlers for browsers look for that, and this file is not for them.
  const worker = new workers.Worker(new URL("host-worker.js", here), workerArguments());
  await new Promise<void>((resolve, reject) => {
    worker.once("message", () => resolve());
    worker.once("error", reject);
    worker.once("exit", () => reject(new Error("the thread has ended before it was ready")));
  });
  worker.unref();
  let report: ((error: Error) => void) | undefined;
  const threads: WorkerHandle[] = [];
  let over = false;
  const failed = (what: string, cause?: unknown) =>
    report?.(new KernelError(`The thread of the model ${what}`, {}, "Load the model again", { cause }));
  worker.on("error", (error) => failed(`has failed: ${(error as Error).message}`, error));
  worker.on("exit", () => failed("has ended"));
  return {
    port: Object.assign(portOf(worker as unknown as NodePort), {
      hold: (waiting: boolean) => (waiting ? worker.ref() : worker.unref()),
    }),
    onFailure(callback) {
      report = callback;
    },
    // By this thread, which is not blocked: it learns when one of them ends, while the others wait for it.
    async startThread(start) {
      const thread = await startNodeWorker(start);
      // The model was given up while this one started.
      if (over) await thread.terminate();
      threads.push(thread);
      return thread;
    },
    terminate() {
      report = undefined;
      over = true;
      void worker.terminate();
      for (const thread of threads) void thread.terminate();
    },
  };
}
