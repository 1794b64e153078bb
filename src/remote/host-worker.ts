// Entry point of the worker thread that owns a model in Node, Deno and Bun.
import { parentPort } from "node:worker_threads";
import { serveHost } from "./host.js";
import { portOf } from "./node-port.js";

if (parentPort) {
  serveHost(portOf(parentPort as never), { startsThreads: true });
  parentPort.postMessage("ready");
}
