import type { StartWorker } from "../runtime/team.js";

/** Starts a worker thread of Node, Deno or Bun that runs `worker.js`. It does not keep the process alive. */
export const startNodeWorker: StartWorker = async (start) => {
  const { Worker } = await import("node:worker_threads");
  const worker = new Worker(new URL("./worker.js", import.meta.url), { workerData: start });
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
