import { platform } from "../platform/platform.js";
import { startThread } from "../threads/start-thread.js";
import { type StartWorker, serve, type WorkerStart } from "../threads/team.js";
import { makeExecute } from "./execute.js";

/** What a worker looks like from inside. */
export interface WorkerScope {
  name: string;
  postMessage(message: unknown, transfer?: Transferable[]): void;
  onmessage: ((event: MessageEvent) => void) | null;
}

const ownThread: StartWorker = (start) => startThread(import.meta.url, start);
let starter = ownThread;

/** Starts a web worker that runs the same script as this one. */
export const startBrowserWorker: StartWorker = (start) => starter(start);

/**
 * Has the threads started by somebody else from now on: by the page. In Firefox a worker that starts a worker can wait
 * forever inside `new Worker` (the two sleep on one condition variable, and the wrong one may be woken).
 */
export function startThreadsWith(other: StartWorker): void {
  starter = other;
}

/** Who starts threads instead of this thread, if `startThreadsWith` was called. */
export function otherStarter(): StartWorker | undefined {
  return starter === ownThread ? undefined : starter;
}

/** Why threads had better be asked for in this worker, if so. */
export function threadsAreRisky(): string | undefined {
  const firefox = globalThis.navigator?.userAgent?.includes("Firefox/") && typeof document === "undefined";
  if (platform !== "browser" || !firefox || starter !== ownThread) return undefined;
  return "in Firefox a worker that starts workers may hang: load the model on the page, or ask for threads";
}

/** Makes this web worker a thread of the engine that started it. */
export function serveBrowserThread(scope: WorkerScope): void {
  scope.onmessage = (event) => {
    scope.onmessage = null;
    scope.postMessage("ready");
    serve(event.data as WorkerStart, makeExecute());
  };
}
