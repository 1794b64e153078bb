import { fingerprint } from "../formats/fingerprint.js";
import { unlessAborted } from "../platform/waiting.js";
import type { LoadOptions, Model } from "../types.js";
import { ApiError } from "./errors.js";
import type { ServedModel } from "./options.js";

/** Keys and values kept for requests that begin alike: many conversations at once want more than a single one does. */
const PREFIX_BYTES = 256 << 20;

/** A model in use by a request. */
export interface UsedModel {
  name: string;
  model: Model;
  /** Hash of the weights and of every option that decides what is computed: equal on all servers that give equal answers. */
  fingerprint: string;
  /** How keys and values are kept. */
  kvCache: "int8" | "f32";
  /** Says that the request has done with it. Any number of calls is fine. */
  release(): void;
}

interface Entry {
  readonly name: string;
  readonly served: ServedModel;
  loading: Promise<Model> | undefined;
  model: Model | undefined;
  fingerprint: string;
  users: number;
  lastUsed: number;
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** The models a server offers: loaded when first asked for, unloaded when idle or when another needs the room. */
export class ModelRegistry {
  readonly #entries = new Map<string, Entry>();
  readonly #maxLoaded: number;
  readonly #unloadAfter: number | undefined;
  /** Passes of models that were unloaded. */
  readonly #passes = { count: 0, sequences: 0 };
  /** Requests that wait for a model to become idle, so that theirs can be loaded. */
  readonly #waiting: (() => void)[] = [];
  /** Loading and unloading happen one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    models: Readonly<Record<string, ServedModel>>,
    { maxLoaded, unloadAfter }: { maxLoaded: number; unloadAfter?: number | undefined },
  ) {
    this.#maxLoaded = maxLoaded;
    this.#unloadAfter = unloadAfter;
    for (const [name, served] of Object.entries(models)) {
      const model = "model" in served ? served.model : undefined;
      this.#entries.set(name, {
        name,
        served,
        model,
        loading: undefined,
        fingerprint: "",
        users: 0,
        lastUsed: 0,
        timer: undefined,
      });
    }
  }

  get names(): string[] {
    return [...this.#entries.keys()];
  }

  /** The model of that name if it is in memory now. */
  loaded(name: string): Model | undefined {
    return this.#entries.get(name)?.model;
  }

  /** All models in memory now. */
  get allLoaded(): { name: string; model: Model }[] {
    return [...this.#entries.values()].flatMap(({ name, model }) => (model ? [{ name, model }] : []));
  }

  /** Passes of all models so far, and the sequences computed in them. */
  get passes(): { count: number; sequences: number } {
    const sum = { ...this.#passes };
    for (const { model } of this.allLoaded) addPasses(sum, model);
    return sum;
  }

  /**
   * The model of that name, loaded if need be; the first one for `undefined`.
   * @throws ApiError 404 for a name that is not offered, what `loadModel` throws, or the signal's reason
   */
  async use(name: string | undefined, signal: AbortSignal): Promise<UsedModel> {
    const entry = name === undefined ? this.#entries.values().next().value : this.#entries.get(name);
    if (!entry)
      throw new ApiError(404, `There is no model ${JSON.stringify(name)} here; there is ${this.names.join(", ")}`, {
        param: "model",
        code: "model_not_found",
      });
    entry.users++;
    clearTimeout(entry.timer);
    let released = false;
    const release = () => {
      if (released) return;
      released = true;
      entry.users--;
      entry.lastUsed = performance.now();
      if (entry.users === 0) this.#idle(entry);
    };
    try {
      const model = entry.model ?? (await unlessAborted(this.#load(entry), signal));
      entry.fingerprint ||= await fingerprintOf(model, entry.served);
      const kvCache = ("source" in entry.served && entry.served.options?.kvCache) || "int8";
      return { name: entry.name, model, fingerprint: entry.fingerprint, kvCache, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Unloads what the server has loaded. */
  async dispose(): Promise<void> {
    for (const entry of this.#entries.values()) {
      clearTimeout(entry.timer);
      await entry.loading?.catch(() => undefined);
      await this.#unload(entry);
    }
  }

  #load(entry: Entry): Promise<Model> {
    entry.loading ??= this.#inTurn(async () => {
      const { served } = entry;
      if ("model" in served) return served.model;
      await this.#makeRoom();
      const { loadModel } = await import("../load.js");
      const prefixCacheBytes = served.options?.prefixCacheBytes ?? PREFIX_BYTES;
      entry.model = await loadModel(served.source, { ...served.options, prefixCacheBytes });
      return entry.model;
    }).finally(() => {
      entry.loading = undefined;
    });
    return entry.loading;
  }

  async #makeRoom(): Promise<void> {
    for (;;) {
      const ours = [...this.#entries.values()].filter(({ model, served }) => model && !("model" in served));
      if (ours.length < this.#maxLoaded) return;
      const idle = ours.filter(({ users }) => users === 0).sort((a, b) => a.lastUsed - b.lastUsed)[0];
      if (idle) await this.#unload(idle);
      else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #idle(entry: Entry): void {
    for (const wake of this.#waiting.splice(0)) wake();
    if (this.#unloadAfter === undefined || "model" in entry.served) return;
    entry.timer = setTimeout(() => {
      void this.#inTurn(async () => {
        if (entry.users === 0) await this.#unload(entry);
      });
    }, this.#unloadAfter * 1000);
    // A timer alone must not keep a process alive.
    (entry.timer as { unref?: () => void }).unref?.();
  }

  async #unload(entry: Entry): Promise<void> {
    const { model, served } = entry;
    if (!model || "model" in served) return;
    entry.model = undefined;
    addPasses(this.#passes, model);
    await model.dispose();
  }

  #inTurn<Result>(run: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(run);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

function addPasses(sum: { count: number; sequences: number }, model: Model): void {
  const { count, sequences } = model.stats().passes;
  sum.count += count;
  sum.sequences += sequences;
}

/** Options that decide what is computed, as opposed to how fast. */
const decisive = [
  "contextLength",
  "kvCache",
  "head",
  "i2sLayout",
  "attention",
] as const satisfies (keyof LoadOptions)[];

async function fingerprintOf(model: Model, served: ServedModel): Promise<string> {
  const options = "model" in served ? {} : (served.options ?? {});
  const chosen = decisive.map((name) => options[name] ?? null);
  const text = JSON.stringify([await fingerprint(model.file), chosen]);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return `fp_${Array.from(digest.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
