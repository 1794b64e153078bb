import { yieldToEventLoop } from "../platform/yield.js";
import type { LoadOptions, Model, ModelSource } from "../types.js";
import { startNodeHost } from "./start-node-host.js";

/**
 * Loads a model in a worker of Node, Deno or Bun. Where no worker can be started, such as in a program that was bundled
 * into one file, it is loaded in this thread, and `file.notes` says so.
 */
export async function loadInWorker(source: ModelSource, options: LoadOptions): Promise<Model> {
  // To start a thread and to read modules hold the caller up for some 10 ms each: not one right after the other.
  await yieldToEventLoop();
  const starting = startNodeHost();
  const started = starting.then(() => undefined).catch((error: Error) => error);
  await yieldToEventLoop();
  const { loadRemoteModel } = await import("./remote-model.js");
  const error = await started;
  if (!error) return loadRemoteModel(await starting, source, options);
  const { loadEngine } = await import("../load-engine.js");
  const model = await loadEngine(source, options);
  model.file.notes.push(`the engine runs in the calling thread, because no worker could be started: ${error.message}`);
  return model;
}
