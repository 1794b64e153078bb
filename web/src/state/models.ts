import { signal } from "@preact/signals";
import type { Calibration, ModelSource } from "../../../dist/types.js";
import type { Engine } from "../engines/engine.js";
import { engineLibrary, PageEngine, type PageOptions } from "../engines/page.js";
import { NeedsKey, ServerEngine, type ServerModel, serverModels, setApiKey } from "../engines/server.js";

/** What answers now. */
export const engine = signal<Engine | undefined>(undefined);
/** Models of the server this page came from; undefined when it came from none. */
export const onServer = signal<readonly ServerModel[] | undefined>(undefined);
/** The server asks for an API key. */
export const keyWanted = signal(false);

export interface Loading {
  name: string;
  what: string;
  /** 0 … 1; undefined: not known. */
  fraction: number | undefined;
  bytes: number;
  started: number;
  controller: AbortController;
}
/** The model that is on its way. */
export const loading = signal<Loading | undefined>(undefined);
/** Why the last model could not be loaded. */
export const loadProblem = signal<string | undefined>(undefined);

/** Where the model in the page came from, to load it again with other options. */
export interface Origin {
  name: string;
  source: ModelSource;
}
export const origin = signal<Origin | undefined>(undefined);
export const pageOptions = signal<PageOptions>({});
/** Calibrations made in this page, by model. */
const calibrations = new Map<string, Calibration>();

export const STORY: Origin = { name: "Story model", source: new URL("./engine/story.gguf", document.baseURI) };

/** A model that this browser keeps. */
export interface KeptModel {
  /** Under which it is loaded and removed. */
  name: string;
  bytes: number;
  /** Its download was broken off; loading it goes on with that. */
  partial: boolean;
}
/** Models in the browser's own storage. */
export const kept = signal<readonly KeptModel[]>([]);

export async function showKept(): Promise<void> {
  try {
    const files = await (await engineLibrary()).listModels();
    const models = new Map<string, KeptModel>();
    for (const { repository, file, size, partial } of files) {
      if (!/\.(gguf|safetensors)$/i.test(file) && !/\.gguf/i.test(repository)) continue;
      const name = repository.includes("://") || repository === file ? repository : `${repository}/${file}`;
      models.set(name, { name, bytes: size, partial: partial ?? false });
    }
    kept.value = [...models.values()];
  } catch {
    // A browser without storage keeps nothing.
    kept.value = [];
  }
}

export async function removeKept(name: string): Promise<void> {
  try {
    await (await engineLibrary()).removeModel(name);
  } catch (error) {
    loadProblem.value = (error as Error).message;
  }
  await showKept();
}

/** Loads a file the user has chosen; it is kept for next time where the browser has room. */
export async function openFile(file: File): Promise<boolean> {
  let source: ModelSource = file;
  try {
    loadProblem.value = undefined;
    source = await (await engineLibrary()).keepModel(file);
    await showKept();
  } catch {
    // No room, no storage or no model: loading it from where it is says which.
  }
  return loadInPage({ name: file.name, source });
}

/** Asks the server for its models and takes its first one. */
export async function connect(): Promise<void> {
  try {
    const models = await serverModels();
    onServer.value = models;
    keyWanted.value = false;
    const [first] = models ?? [];
    if (first && !engine.value) engine.value = new ServerEngine(first.id);
  } catch (error) {
    if (!(error instanceof NeedsKey)) throw error;
    keyWanted.value = true;
  }
}

export async function giveKey(key: string): Promise<void> {
  setApiKey(key);
  await connect();
}

export async function useServerModel(id: string): Promise<void> {
  await engine.value?.dispose();
  engine.value = new ServerEngine(id);
  origin.value = undefined;
}

/**
 * Loads a model into the page. The one before is kept until the new one is there, and stays if that fails, unless the two
 * would need more memory than there may be.
 */
export async function loadInPage(from: Origin, options: PageOptions = pageOptions.value): Promise<boolean> {
  loading.value?.controller.abort();
  const controller = new AbortController();
  const mine: Loading = {
    name: from.name,
    what: "Opening",
    fraction: undefined,
    bytes: 0,
    started: performance.now(),
    controller,
  };
  loading.value = mine;
  loadProblem.value = undefined;
  const before = engine.value;
  try {
    const loaded = await PageEngine.load(from.name, from.source, options, {
      signal: controller.signal,
      onProgress: ({ phase, fraction, bytes }) => {
        if (loading.value?.controller !== controller) return;
        const what = { open: "Opening", weights: "Loading", prepare: "Preparing", prefill: "Reading" }[phase as string];
        loading.value = { ...mine, what: what ?? "Downloading", fraction, bytes };
      },
    });
    engine.value = loaded;
    origin.value = from;
    pageOptions.value = options;
    await before?.dispose();
    return true;
  } catch (error) {
    if (!controller.signal.aborted) loadProblem.value = (error as Error).message;
    return false;
  } finally {
    if (loading.value?.controller === controller) loading.value = undefined;
  }
}

/** Text the page calibrates on: short, plain, and the same for everybody. */
const CALIBRATION_TEXT = new URL("./calibration.txt", document.baseURI);

/**
 * Turns delta attention on or off. A model that was never calibrated is calibrated first, in its worker; a failure leaves
 * everything as it was.
 * @param sparsity share of key changes to drop; undefined: full attention
 */
export async function setAttention(sparsity: number | undefined): Promise<void> {
  const from = origin.value;
  const loaded = engine.value;
  if (!from || !(loaded instanceof PageEngine)) return;
  let calibration = calibrations.get(from.name);
  if (sparsity !== undefined && !calibration && from.name !== STORY.name) {
    const controller = new AbortController();
    const mine: Loading = {
      name: from.name,
      what: "Measuring",
      fraction: 0,
      bytes: 0,
      started: performance.now(),
      controller,
    };
    loading.value = mine;
    loadProblem.value = undefined;
    try {
      const response = await fetch(CALIBRATION_TEXT, { signal: controller.signal });
      if (!response.ok) throw new Error("The text to measure on is not there");
      calibration = await loaded.calibrate(
        await response.text(),
        (fraction) => {
          loading.value = { ...mine, fraction };
        },
        controller.signal,
      );
      calibrations.set(from.name, calibration);
    } catch (error) {
      if (!controller.signal.aborted) loadProblem.value = (error as Error).message;
      return;
    } finally {
      loading.value = undefined;
    }
  }
  await loadInPage(from, { ...pageOptions.value, sparsity, calibration });
}
