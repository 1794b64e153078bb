// The script that runs in web workers, published as one file without imports. It is three things, told apart by the
// name of the worker: the owner of a page's model, one of its threads, or a module that somebody else's worker imports.
import { serveBrowserThread, type WorkerScope } from "../model/start-browser-worker.js";
import type { Port } from "../remote/endpoint.js";
import { serveHost } from "../remote/host.js";
import { THREAD_NAME } from "../threads/start-thread.js";
import { HOST_NAME } from "./start-host.js";

export { serveHost };

const scope = globalThis as unknown as WorkerScope & Port;
if (scope.name === THREAD_NAME) serveBrowserThread(scope);
else if (scope.name === HOST_NAME) {
  serveHost(scope, { startsThreads: true });
  scope.postMessage("ready", []);
}
