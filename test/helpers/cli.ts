import { PassThrough, Readable, Writable } from "node:stream";
import type { Host } from "#src/cli/host.js";
import { runCommandLine } from "#src/cli/run.js";
import type { ModelFile } from "#src/formats/model-file.js";
import type { GenerateOptions, LoadOptions, Model, ModelSource, ModelStats } from "#src/types.js";

/** What the fake model was asked. */
export interface Asked {
  source?: ModelSource;
  load?: LoadOptions;
  prompt?: unknown;
  generate?: GenerateOptions;
  system?: string | undefined;
  messages: string[];
  windows: number[];
  prefills: number[];
  steps: number[];
  disposed: number;
}

export interface FakeOptions {
  stdin?: string;
  /** stdin is a terminal. */
  stdinTTY?: boolean;
  stderrTTY?: boolean;
  stdoutTTY?: boolean;
  env?: Record<string, string>;
  /** Ctrl-C after this many pieces. */
  interruptAfter?: number;
  /** The reader of stdout goes away after this many writes. */
  closeAfter?: number;
  /** Nothing is written: the context is full. */
  finishReason?: "context";
  /** The context was full and something was dropped. */
  shifts?: boolean;
  /** Thrown by `loadModel`. */
  loadError?: Error;
  /** Loading reports progress over this many milliseconds. */
  loadMs?: number;
}

export interface RunResult {
  code: number;
  stdout: string;
  stderr: string;
  asked: Asked;
}

const VOCAB = 7;
const words = ["Once", " upon", " a", " time", ",", "", " end"];

/** Runs a command line against a model that says the same words over and over; its tokens are numbers 0 … 6. */
export async function runFake(args: string[], options: FakeOptions = {}): Promise<RunResult> {
  const asked: Asked = { messages: [], windows: [], prefills: [], steps: [], disposed: 0 };
  const stdout = collect(options.closeAfter);
  const stderr = collect();
  let interrupt: (() => void) | undefined;
  let pieces = 0;

  async function* say(generate: GenerateOptions = {}) {
    asked.generate = generate;
    generate.onProgress?.({ phase: "prefill", fraction: 1, bytes: 0 });
    if (options.shifts)
      generate.onContextShift?.({ droppedTokens: 5, droppedMessages: 2, note: "The context is full" });
    const count = options.finishReason === "context" ? 0 : Math.min(generate.maxTokens ?? 6, 100);
    for (let i = 0; i < count; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      generate.signal?.throwIfAborted();
      yield { text: words[i % VOCAB] as string, token: i % VOCAB, logprob: -1 };
      if (++pieces === options.interruptAfter) interrupt?.();
    }
    const finishReason = options.finishReason ?? "length";
    const usage = { promptTokens: 3, cachedTokens: 0, completionTokens: 6 };
    yield { text: finishReason === "context" ? "" : "!", token: -1, logprob: 0, finishReason, usage };
  }

  const model = {
    config: { vocab: VOCAB, name: "fake" },
    file,
    tokenizer,
    stats: () => stats,
    resetStats: () => {},
    calibrate: async () => {
      throw new Error("not in the fake");
    },
    generate(prompt: unknown, generate?: GenerateOptions) {
      asked.prompt = prompt;
      return say(generate);
    },
    createChat(chat: { system?: string } = {}) {
      asked.system = chat.system;
      return {
        send(message: string, generate?: GenerateOptions) {
          asked.messages.push(message);
          return say(generate);
        },
        dispose: async () => undefined,
      };
    },
    createSession() {
      let length = 0;
      const row = () => Float32Array.from({ length: VOCAB }, (_, i) => length * 10 + i);
      return {
        get length() {
          return length;
        },
        async prefill(ids: number[], { allLogits = false } = {}) {
          asked.prefills.push(ids.length);
          const rows = ids.flatMap(() => {
            length++;
            return [...row()];
          });
          return Float32Array.from(allLogits ? rows : rows.slice(-VOCAB));
        },
        async step(id: number) {
          asked.steps.push(id);
          length++;
          return row();
        },
        dispose: async () => undefined,
      };
    },
    async scoreWindow(ids: number[]) {
      asked.windows.push(ids.length);
      return new Float32Array(ids.length - 1).fill(-0.5);
    },
    async dispose() {
      asked.disposed++;
    },
  } as unknown as Model;

  const host: Host = {
    stdin: Object.assign(options.stdinTTY ? new PassThrough() : Readable.from([Buffer.from(options.stdin ?? "")]), {
      isTTY: options.stdinTTY ?? false,
    }),
    stdout: Object.assign(stdout.stream, { isTTY: options.stdoutTTY ?? false }),
    stderr: Object.assign(stderr.stream, { isTTY: options.stderrTTY ?? false }),
    env: options.env ?? {},
    onInterrupt(listener) {
      interrupt = listener;
      return () => {
        interrupt = undefined;
      };
    },
    onTerminate: () => () => undefined,
    residentBytes: () => 1e6,
    async loadModel(source, load) {
      asked.source = source;
      if (load) asked.load = load;
      if (options.loadError) throw options.loadError;
      for (let ms = 0; ms <= (options.loadMs ?? 0); ms += 50) {
        load?.onProgress?.({ phase: "weights", fraction: ms / (options.loadMs || 1), bytes: ms * 1e6 });
        if (options.loadMs) await new Promise((resolve) => setTimeout(resolve, 50));
      }
      return model;
    },
    async openModel(source) {
      asked.source = source;
      return file;
    },
    createTokenizer: async () => tokenizer,
  };
  const code = await runCommandLine(args, host);
  return { code, stdout: stdout.text(), stderr: stderr.text(), asked };
}

/** One token per character, its code modulo the vocabulary; special tokens are upper-case letters, all of them 0. */
const tokenizer = {
  encode: (text: string, { special = false } = {}) =>
    [...text].map((c) => (special && /[A-Z]/.test(c) ? 0 : (c.codePointAt(0) as number) % VOCAB)),
  decode: (ids: number[]) => ids.join(","),
} as unknown as Model["tokenizer"];

const bytes = new Uint8Array(4096);
const source = {
  name: "fake.gguf",
  size: bytes.length,
  read: async (offset: number, length: number) => bytes.slice(offset, offset + length),
};
const embedding = { name: "embedding", type: "F16", shape: [7, 4], source, offset: 0, byteLength: 56 };
const up = {
  name: "up",
  type: "I2_S",
  shape: [4, 128],
  source,
  offset: 64,
  byteLength: 160,
  i2sLayout: "block128",
};
const file = {
  container: "gguf",
  name: "fake.gguf",
  config: { architecture: "llama", name: "fake", layers: 1, hidden: 4, vocab: VOCAB },
  tokenizer: { kind: "bpe", tokens: words, types: [], merges: ["a b"], eosIds: [6], bosId: 0, addBos: true },
  metadata: new Map<string, unknown>([
    ["general.name", "fake"],
    ["big", 12n],
    ["list", Array.from({ length: 100 }, (_, i) => i)],
  ]),
  tensors: { embedding, layers: [{ up }] },
  allTensors: [embedding, up],
  notes: ["something was overridden"],
  close: async () => undefined,
} as unknown as ModelFile;

const stats: ModelStats = {
  prefill: { tokens: 4, ms: 10, tokensPerSecond: 400 },
  decode: { tokens: 6, ms: 60, tokensPerSecond: 100 },
  tokens: { computed: 0, cached: 0 },
  passes: { count: 0, sequences: 0 },
  memoryBytes: 5e6,
  weightBytes: 3e6,
  kvBytes: 1e6,
  contextLeft: 990,
  speculation: { proposed: 0, accepted: 0 },
  kernel: "simd",
  threads: 2,
  threadsReason: "2 cores",
  attention: {
    kind: "full",
    grain: "element",
    basis: "raw",
    deltaSparsity: 0,
    attentionSparsity: 0,
    skippedMacs: 0,
    bytesRead: 1,
    kvBytes: 1000,
    kvBytesFull: 1000,
    heads: [],
  },
};

/** A stream that keeps what it is given, and breaks like a closed pipe after `closeAfter` writes. */
function collect(closeAfter = Number.POSITIVE_INFINITY) {
  const chunks: Buffer[] = [];
  let writes = 0;
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (++writes > closeAfter) done(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
      else {
        chunks.push(chunk);
        done();
      }
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString("utf8") };
}
