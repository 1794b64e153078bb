import type { Readable, Writable } from "node:stream";
import type { ModelFile, TokenizerData } from "../formats/model-file.js";
import type { LoadModel, ModelSource, Tokenizer } from "../types.js";

/** What the commands need of the world around them; tests bring their own. */
export interface Host {
  readonly stdin: Readable & { isTTY?: boolean };
  readonly stdout: Writable & { isTTY?: boolean; columns?: number };
  readonly stderr: Writable & { isTTY?: boolean; columns?: number };
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Calls the listener at the next Ctrl-C; the one after that ends the process. Returns a function that takes it back. */
  onInterrupt(listener: () => void): () => void;
  /** Resident memory of the process, in bytes, where it can be known. */
  residentBytes(): number | undefined;
  readonly loadModel: LoadModel;
  /** Opens a model without reading its weights. */
  openModel(source: ModelSource, signal?: AbortSignal): Promise<ModelFile>;
  createTokenizer(data: TokenizerData): Promise<Tokenizer>;
}

/** The process this runs in: Node, Deno or Bun. Model code is imported when first used, so that `--help` is quick. */
export function processHost(process: NodeJS.Process): Host {
  // Errors of these streams reach whoever writes; one that comes later must not end the process.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    onInterrupt(listener) {
      process.once("SIGINT", listener);
      return () => process.off("SIGINT", listener);
    },
    residentBytes: () => process.memoryUsage?.().rss,
    loadModel: async (source, options) => (await import("../load.js")).loadModel(source, options),
    openModel: async (source, signal) => (await import("../load.js")).openModelSource(source, signal),
    createTokenizer: async (data) => (await import("../tokenizer/tokenizer.js")).createTokenizer(data),
  };
}
