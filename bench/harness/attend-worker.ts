// A thread of Node, Deno or Bun that computes attention alone.
import { parentPort, workerData } from "node:worker_threads";
import { serve, type WorkerStart } from "#src/threads/team.js";
import { makeAttend } from "./attend-command.js";

parentPort?.postMessage("ready");
serve(workerData as WorkerStart, makeAttend());
