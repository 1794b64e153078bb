import { signal } from "@preact/signals";
import type { Calibration, ModelSource } from "../../../dist/types.js";
import type { Engine } from "../engines/engine.js";
import { engineLibrary, PageEngine, type PageOptions } from "../engines/page.js";
import { NeedsKey, ServerEngine, type ServerModel, serverModels, setApiKey } from "../engines/server.js";
import { loadCalibration, saveCalibration } from "../lib/history.js";
import { shown, startConversation } from "./chats.js";
import { tell } from "./view.js";
import { stop } from "./writing.js";

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
  const before = engine.value;
  put(new ServerEngine(id));
  origin.value = undefined;
  await before?.dispose();
}

/** From now on this model answers. A conversation stays with the model it was held with: another one begins a new one. */
function put(next: Engine): void {
  const before = engine.value;
  stop();
  engine.value = next;
  if (!before || before.model === next.model || shown.value.length === 0) return;
  startConversation();
  tell(`A new chat with ${next.model}. The one before is in the list.`);
}

/** Loads a model into the page. The one before is kept until the new one is there, and stays if that fails. */
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
    put(loaded);
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
 * Turns delta attention and selection on or off. A model that was never calibrated is calibrated first, in its worker; a failure leaves
 * everything as it was.
 * @param sparsity share of key changes to drop; undefined: no delta attention
 */
export async function setAttention({ sparsity, select }: Pick<PageOptions, "sparsity" | "select">): Promise<void> {
  const from = origin.value;
  const loaded = engine.value;
  if (!from || !(loaded instanceof PageEngine)) return;
  let calibration: Calibration | undefined;
  if (sparsity !== undefined || select) {
    calibration = await calibrationOf(loaded);
    if (!calibration) return;
  }
  await loadInPage(from, { ...pageOptions.value, sparsity, select, calibration });
}

/** The calibration of a model: kept from earlier, or made now. Undefined when that failed or was cancelled. */
async function calibrationOf(loaded: PageEngine): Promise<Calibration | undefined> {
  const fingerprint = await loaded.fingerprint();
  const earlier = await loadCalibration(fingerprint).catch(() => undefined);
  // One from before there was selection is made anew.
  if (earlier?.heads.every((head) => head.select)) return earlier;
  const controller = new AbortController();
  const mine: Loading = {
    name: loaded.model,
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
    const calibration = await loaded.calibrate(
      await response.text(),
      (fraction) => {
        loading.value = { ...mine, fraction };
      },
      controller.signal,
    );
    // Where the browser keeps nothing it is made again next time.
    await saveCalibration(fingerprint, calibration).catch(() => undefined);
    return calibration;
  } catch (error) {
    if (!controller.signal.aborted) loadProblem.value = (error as Error).message;
    return undefined;
  } finally {
    loading.value = undefined;
  }
}
