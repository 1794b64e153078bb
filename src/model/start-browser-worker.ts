import { type StartWorker, serve, type WorkerStart } from "../runtime/team.js";
import { makeExecute } from "./execute.js";

/** Name of a worker that computes for an engine in another worker; tells the one script what it is to be. */
export const THREAD_NAME = "deltallm thread";

/** What a worker looks like from inside. */
export interface WorkerScope {
  name: string;
  postMessage(message: unknown, transfer?: Transferable[]): void;
  onmessage: ((event: MessageEvent) => void) | null;
}

/** Starts a web worker that runs the same script as this one. */
export const startBrowserWorker: StartWorker = async (start) => {
  const worker = new Worker(import.meta.url, { type: "module", name: THREAD_NAME });
  try {
    await new Promise<void>((resolve, reject) => {
      worker.onmessage = () => resolve();
      worker.onerror = (event) => reject(new Error(event.message || "the worker script could not be loaded"));
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
};

/** Makes this web worker a thread of the engine that started it. */
export function serveBrowserThread(scope: WorkerScope): void {
  scope.onmessage = (event) => {
    scope.onmessage = null;
    scope.postMessage("ready");
    serve(event.data as WorkerStart, makeExecute());
  };
}
