import { nodeModules } from "../platform/node-modules.js";
import { platform } from "../platform/platform.js";
import { workerArguments } from "../platform/worker-arguments.js";
import type { StartWorker } from "../threads/team.js";
import { startBrowserWorker } from "./start-browser-worker.js";

/** Starts a worker thread of Node, Deno or Bun that runs `worker.js`. It does not keep the process alive. */
const startNodeWorker: StartWorker = async (start) => {
  const workers = await nodeModules.workers();
  // Not the global class: bundlers for browsers look for that, and this file is not for them.
  const worker = new workers.Worker(new URL("worker.js", here), { workerData: start, ...workerArguments() });
  await new Promise<void>((resolve, reject) => {
    worker.once("message", () => resolve());
    worker.once("error", reject);
  });
  worker.on("error", () => {}); // a failed thread poisons the barrier; the error reaches the caller from there
  worker.unref();
  return {
    async terminate() {
      await worker.terminate();
    },
  };
};

const here = import.meta.url;

/** Starts a thread in the way of this runtime. */
export const startWorker: StartWorker = platform === "browser" ? startBrowserWorker : startNodeWorker;
