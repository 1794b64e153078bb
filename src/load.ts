import { checkLoadOptions, checkSource } from "./check-options.js";
import { OptionError } from "./errors.js";
import { availableCores } from "./platform/platform.js";
import type { LoadOptions, Model, ModelSource } from "./types.js";

/**
 * Reads a model and makes it ready to compute, in a thread of its own: the caller's event loop goes on.
 * @param source a name (`"hf:owner/repository:Q4_K_M"`), `"embedded"`, a path, URL, Blob, bytes or ByteSource of a GGUF
 * file or a Hugging Face folder
 * @throws DownloadError, SourceError, FormatError, UnsupportedError, OptionError, MemoryError, KernelError, or the signal's reason
 */
export async function loadModel(source: ModelSource, options: LoadOptions = {}): Promise<Model> {
  checkLoadOptions(options, await availableCores());
  checkSource(source);
  const { engineThread = "worker", ...rest } = options;
  rest.signal?.throwIfAborted();
  if (engineThread === "worker") {
    const { loadInWorker } = await import("./remote/load-in-worker.js");
    return loadInWorker(source, rest);
  }
  if (engineThread !== "caller")
    throw new OptionError(
      `engineThread is ${JSON.stringify(engineThread)}`,
      { key: "engineThread" },
      "Use worker, caller",
    );
  const { loadEngine } = await import("./load-engine.js");
  return loadEngine(source, rest);
}
