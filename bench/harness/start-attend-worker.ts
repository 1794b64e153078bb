import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { type StartWorker, stopTeam } from "#src/threads/team.js";

/** Starts a thread for `Environment.startAttend`. */
export const startAttendWorker: StartWorker = async (start) => {
  const worker = new Worker(new URL("attend-worker.js", import.meta.url), { workerData: start });
  await once(worker, "message");
  worker.on("error", () => stopTeam(start));
  worker.unref();
  return {
    async terminate() {
      await worker.terminate();
    },
  };
};
