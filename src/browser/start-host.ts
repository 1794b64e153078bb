import { KernelError } from "../errors.js";
import type { HostThread } from "../remote/remote-model.js";
import { startThread } from "../threads/start-thread.js";
import type { WorkerHandle } from "../threads/team.js";

/** Name of a worker that owns a model; tells the engine's script what it is to be. */
export const HOST_NAME = "deltallm host";

/** Starts a worker that owns a model, and the threads it asks for. */
export async function startHost(url: string | URL): Promise<HostThread> {
  const worker = new Worker(url, { type: "module", name: HOST_NAME });
  let report: ((error: Error) => void) | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      worker.onmessage = () => resolve();
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message || `no module worker at ${String(url)}`));
      };
    });
  } catch (error) {
    worker.terminate();
    throw error;
  }
  worker.onerror = (event) =>
    report?.(new KernelError(`The worker of the model has failed: ${event.message}`, {}, "Load the model again"));
  const threads: WorkerHandle[] = [];
  let over = false;
  return {
    port: worker as unknown as HostThread["port"],
    onFailure(callback) {
      report = callback;
    },
    async startThread(start) {
      const thread = await startThread(url, start);
      // The model was given up while this one started.
      if (over) await thread.terminate();
      threads.push(thread);
      return thread;
    },
    terminate() {
      over = true;
      worker.terminate();
      for (const thread of threads) void thread.terminate();
    },
  };
}
