import { nodeModules } from "../platform/node-modules.js";
import { platform } from "../platform/platform.js";
import { workerArguments } from "../platform/worker-arguments.js";
import { type StartWorker, stopTeam } from "../threads/team.js";
import { otherStarter, startBrowserWorker } from "./start-browser-worker.js";

/**
 * Starts a worker thread of Node, Deno or Bun that runs `worker.js`. It does not keep the process alive. Should it end
 * before it is told to, its team is stopped: the others would wait for it forever.
 */
export const startNodeWorker: StartWorker = async (start) => {
  const workers = await nodeModules.workers();
  // Not the global class: bundlers for browsers look for that, and this file is not for them.
  const worker = new workers.Worker(new URL("worker.js", here), { workerData: start, ...workerArguments() });
  await new Promise<void>((resolve, reject) => {
    worker.once("message", () => resolve());
    worker.once("error", reject);
    worker.once("exit", () => reject(new Error("the thread has ended before it was ready")));
  });
  worker.on("error", () => stopTeam(start));
  worker.on("exit", () => stopTeam(start));
  worker.unref();
  // Of a worker that has ended Node says so only if it was asked before.
  if (platform === "node") hasEnded(worker);
  return {
    async terminate() {
      await worker.terminate();
    },
    ended: (waited) => (platform === "node" ? hasEnded(worker) : waited > MOST_WAITED_MS),
  };
};

/** A thread that has not come for so long where nobody can say whether it is still there. */
const MOST_WAITED_MS = 60_000;

/** Whether a worker of Node has ended, said at once and not by an event: its loop then was idle for −1 ms. */
function hasEnded(worker: { performance: { eventLoopUtilization(): { idle: number } } }): boolean {
  return worker.performance.eventLoopUtilization().idle < 0;
}

const here = import.meta.url;

/** Starts a thread in the way of this runtime. */
export const startWorker: StartWorker = (start) =>
  platform === "browser" ? startBrowserWorker(start) : (otherStarter() ?? startNodeWorker)(start);
