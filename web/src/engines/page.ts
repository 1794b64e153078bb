import type {
  AttentionOptions,
  AttentionStats,
  Calibration,
  LoadOptions,
  Model,
  ModelSource,
} from "../../../dist/types.js";
import { bytes, whole } from "../lib/format.js";
import type { AnswerEvent, Asked, Engine, Turn } from "./engine.js";

/** The engine is a file of its own, the one the package ships: the page stays small without it. */
type Library = typeof import("../../../dist/browser/index.js");
const ENGINE = new URL("./engine/deltallm.js", document.baseURI).href;
let library: Promise<Library> | undefined;

export function engineLibrary(): Promise<Library> {
  library ??= import(/* @vite-ignore */ ENGINE) as Promise<Library>;
  return library;
}

export interface PageOptions {
  /** Threads; undefined: as many as help. */
  threads?: number | undefined;
  contextLength?: number | undefined;
  /** Delta attention: share of the key changes to drop. */
  sparsity?: number | undefined;
  /** Selection: far keys are completed only where they can matter. */
  select?: boolean | undefined;
  calibration?: Calibration | undefined;
}

function attentionOf({ sparsity, select, calibration }: PageOptions): AttentionOptions {
  if (sparsity === undefined && !select) return {};
  const measured = calibration ? { calibration } : {};
  if (sparsity === undefined) return { preset: "fast", ...measured };
  return { ...(select ? { preset: "small" } : {}), kind: "delta", targetSparsity: sparsity, ...measured };
}

/** Any JSON object. */
const ANY_OBJECT = { type: "object" };

/** A model that computes in this page, in workers of its own. */
export class PageEngine implements Engine {
  readonly kind = "page";
  readonly model: string;
  readonly contextLength: number;
  readonly #model: Model;

  private constructor(name: string, model: Model) {
    this.model = name;
    this.#model = model;
    this.contextLength = model.contextLength;
  }

  static async load(
    name: string,
    source: ModelSource,
    options: PageOptions,
    { signal, onProgress }: Pick<LoadOptions, "signal" | "onProgress">,
  ): Promise<PageEngine> {
    const { loadModel } = await engineLibrary();
    const { threads, contextLength } = options;
    const model = await loadModel(source, {
      threads,
      contextLength,
      signal,
      onProgress,
      attention: attentionOf(options),
    });
    return new PageEngine(name, model);
  }

  async *answer(turns: readonly Turn[], settings: Asked, signal: AbortSignal): AsyncGenerator<AnswerEvent> {
    const pieces = this.#model.generate(this.#prompt(turns), {
      temperature: settings.temperature,
      topP: settings.topP,
      topK: settings.topK,
      minP: settings.minP,
      repetitionPenalty: settings.repeatPenalty,
      maxTokens: settings.maxTokens,
      seed: settings.seed,
      contextOverflow: "shift",
      signal,
      ...(settings.json ? { schema: ANY_OBJECT } : {}),
    });
    let first: number | undefined;
    for await (const piece of pieces) {
      first ??= performance.now();
      if (piece.text) yield { kind: "text", text: piece.text };
      if (!piece.finishReason) continue;
      const tokens = piece.usage?.completionTokens ?? 0;
      const time = (performance.now() - first) / 1000;
      yield {
        kind: "end",
        reason: piece.finishReason,
        promptTokens: piece.usage?.promptTokens ?? 0,
        cachedTokens: piece.usage?.cachedTokens ?? 0,
        tokens,
        tokensPerSecond: time > 0 ? Math.max(tokens - 1, 0) / time : 0,
        fingerprint: await this.fingerprint(),
      };
    }
  }

  /** A model that was not made for conversations goes on with the text. */
  #prompt(turns: readonly Turn[]): string | readonly Turn[] {
    if (this.#model.file.tokenizer.chatTemplate !== undefined) return turns;
    return turns.map(({ content }) => content).join("\n");
  }

  /** Prepares delta attention and selection for this model, on a text. */
  calibrate(text: string, onProgress: (fraction: number) => void, signal: AbortSignal): Promise<Calibration> {
    return this.#model.calibrate(text, { windows: 1, onProgress, signal });
  }

  /** What attention left out so far. */
  attention(): { stats: AttentionStats; layers: number; kvHeads: number } {
    const { layers, kvHeads } = this.#model.config;
    return { stats: this.#model.stats().attention, layers, kvHeads };
  }

  facts(): [string, string][] {
    const { threads, threadsReason, memoryBytes } = this.#model.stats();
    return [
      ["Where", "on this device"],
      ["Threads", `${threads} (${threadsReason})`],
      ["Memory", bytes(memoryBytes)],
      ["Context", `${whole(this.contextLength)} tokens`],
    ];
  }

  /** Things to know about the model file. */
  get notes(): readonly string[] {
    return this.#model.file.notes;
  }

  /** Tells the model apart from others, whatever it is called. */
  async fingerprint(): Promise<string> {
    const { modelFingerprint } = await engineLibrary();
    return modelFingerprint(this.#model);
  }

  dispose(): Promise<void> {
    return this.#model.dispose();
  }
}
