import type { Readable, Writable } from "node:stream";
import type { ModelFile, TokenizerData } from "../formats/model-file.js";
import type { LoadModel, LoadOptions, ModelSource, Tokenizer } from "../types.js";

/** What the commands need of the world around them; tests bring their own. */
export interface Host {
  readonly stdin: Readable & { isTTY?: boolean; setRawMode?: (raw: boolean) => unknown };
  readonly stdout: Writable & { isTTY?: boolean; columns?: number; rows?: number };
  readonly stderr: Writable & { isTTY?: boolean; columns?: number };
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Calls the listener at Ctrl-C; one more Ctrl-C ends the process. Returns a function that takes it back. */
  onInterrupt(listener: () => void): () => unknown;
  /** Calls the listener at SIGTERM. Returns a function that takes it back. */
  onTerminate(listener: () => void): () => unknown;
  /** Resident memory of the process, in bytes, where it can be known. */
  residentBytes(): number | undefined;
  readonly loadModel: LoadModel;
  /** Opens a model without reading its weights; one that is named is not downloaded for that. */
  openModel(source: ModelSource, options?: Pick<LoadOptions, "signal" | "hub" | "onProgress">): Promise<ModelFile>;
  createTokenizer(data: TokenizerData): Promise<Omit<Tokenizer, "applyTemplate">>;
}

/** The process this runs in: Node, Deno or Bun. Model code is imported when first used, so that `--help` is quick. */
export function processHost(process: NodeJS.Process): Host {
  // Errors of these streams reach whoever writes; one that comes later must not end the process.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  return {
    // Made when it is first asked for.
    get stdin() {
      return process.stdin;
    },
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    onInterrupt: interrupts(process),
    onTerminate(listener) {
      process.on("SIGTERM", listener);
      return () => process.off("SIGTERM", listener);
    },
    residentBytes: () => process.memoryUsage?.().rss,
    loadModel: async (source, options) => (await import("../load-engine.js")).loadEngine(source, options),
    openModel: async (source, options) =>
      (await import("../load-engine.js")).openModelSource(source, options, "stream"),
    createTokenizer: async (data) => (await import("../tokenizer/tokenizer.js")).createTokenizer(data),
  };
}

/** A second signal within this time is the same Ctrl-C: `npm run` passes it on to a process that has got it already. */
const SAME_INTERRUPT_MS = 300;

function interrupts(process: NodeJS.Process): Host["onInterrupt"] {
  const listeners = new Set<() => void>();
  let last = Number.NEGATIVE_INFINITY;
  let interrupted = false;
  process.on("SIGINT", () => {
    const now = performance.now();
    if (now - last < SAME_INTERRUPT_MS) return;
    last = now;
    if (listeners.size === 0 || interrupted) process.exit(130);
    interrupted = true;
    for (const listener of listeners) listener();
  });
  return (listener) => {
    listeners.add(listener);
    interrupted = false;
    return () => listeners.delete(listener);
  };
}
