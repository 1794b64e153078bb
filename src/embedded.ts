import { SourceError } from "./errors.js";
import type { ModelFile } from "./formats/model-file.js";
import { openModel } from "./formats/open.js";
import type { OpenOptions } from "./formats/options.js";
import type { Calibration } from "./kv/calibration.js";
import { nodeModules } from "./platform/node-modules.js";
import { platform } from "./platform/platform.js";

let weights: URL | undefined;

/** Tells where the package's folder `weights` is, where this module does not know it: in a bundle. */
export function setWeightsFolder(folder: URL): void {
  weights = folder;
}

/** The story model inside the package. */
export async function openEmbedded(signal: AbortSignal | undefined): Promise<ModelFile> {
  const where = await place("story.gguf");
  // Known, so nothing has to be read to find it out.
  const options: OpenOptions = { signal, i2sLayout: "block128" };
  if (!(where instanceof URL)) return openModel(where, options);
  try {
    return await openModel(where, options);
  } catch (cause) {
    signal?.throwIfAborted();
    throw new SourceError(
      "The embedded model is not beside the scripts of this page",
      { file: where.href },
      'Take it along: import { story } from "deltallm/story" and load that, or serve the package\'s folder weights',
      { cause },
    );
  }
}

/** The calibration of the embedded model, for delta attention at any sparsity. */
export function embeddedCalibration(): Promise<Calibration> {
  return readJson("story.calibration.json");
}

/** A hash of logits that was published for a model; see `deltallm verify`. */
export interface PublishedHash {
  /** For people. */
  name: string;
  /** Fingerprint of the model's file, as `verify` prints it. */
  model: string;
  /** The options that change bits, as `verify` prints them. */
  settings: string;
  hash: string;
}

/** The same on every machine, engine, kernel build and number of threads. */
export function publishedHashes(): Promise<PublishedHash[]> {
  return readJson("hashes.json");
}

async function readJson<Content>(name: string): Promise<Content> {
  const where = await place(name);
  if (where instanceof URL) return (await (await fetch(where)).json()) as Content;
  const { readFile } = await nodeModules.fs();
  return JSON.parse(await readFile(where, "utf8")) as Content;
}

/** A path where there are files, a URL in browsers. */
async function place(name: string): Promise<string | URL> {
  const url = new URL(name, weights ?? new URL("../weights/", import.meta.url));
  if (platform === "browser") return url;
  const { fileURLToPath } = await nodeModules.url();
  return fileURLToPath(url);
}
