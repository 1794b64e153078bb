// Entry point of a worker thread in Node, Deno and Bun.
import { parentPort, workerData } from "node:worker_threads";
import type { WorkerStart } from "../threads/team.js";
import { serve } from "../threads/team.js";
import { makeExecute } from "./execute.js";

parentPort?.postMessage("ready");
serve(workerData as WorkerStart, makeExecute());
