import type { LoadOptions, Model, ModelSource } from "../types.js";
import { loadRemoteModel } from "./remote-model.js";
import { startNodeHost } from "./start-node-host.js";

/**
 * Loads a model in a worker of Node, Deno or Bun. Where no worker can be started, such as in a program that was bundled
 * into one file, it is loaded in this thread, and `file.notes` says so.
 */
export async function loadInWorker(source: ModelSource, options: LoadOptions): Promise<Model> {
  let host: Awaited<ReturnType<typeof startNodeHost>>;
  try {
    host = await startNodeHost();
  } catch (error) {
    const { loadEngine } = await import("../load-engine.js");
    const model = await loadEngine(source, options);
    model.file.notes.push(
      `the engine runs in the calling thread, because no worker could be started: ${(error as Error).message}`,
    );
    return model;
  }
  return loadRemoteModel(host, source, options);
}
