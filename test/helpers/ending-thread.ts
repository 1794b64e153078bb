// A thread of a model that ends in the middle of its third forward pass, without a word to the others.
import { parentPort, workerData } from "node:worker_threads";
import { makeExecute } from "#src/model/execute.js";
import { serve, type WorkerStart } from "#src/threads/team.js";

const execute = makeExecute();
let passes = 0;
parentPort?.postMessage("ready");
serve(workerData as WorkerStart, (thread, command) => {
  let barriers = 0;
  const barrier = () => {
    if (passes === 3 && ++barriers === 5) process.exit(0);
    thread.barrier();
  };
  if ((command as { do: string }).do === "forward") passes++;
  execute({ ...thread, barrier }, command);
});
