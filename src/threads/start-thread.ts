import type { WorkerHandle, WorkerStart } from "./team.js";

/** Name of a worker that computes for an engine in another worker; tells the one script what it is to be. */
export const THREAD_NAME = "deltallm thread";

/** Starts a web worker that runs the engine's script at `url` as a thread, and waits until it is ready. */
export async function startThread(url: string | URL, start: WorkerStart): Promise<WorkerHandle> {
  const worker = new Worker(url, { type: "module", name: THREAD_NAME });
  try {
    await new Promise<void>((resolve, reject) => {
      worker.onmessage = () => resolve();
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message || "the worker script could not be loaded"));
      };
      worker.postMessage(start);
    });
  } catch (error) {
    worker.terminate();
    throw error;
  }
  return {
    async terminate() {
      worker.terminate();
    },
  };
}
