import type { Calibration } from "./attention/calibration.js";
import { SourceError } from "./errors.js";
import type { ModelFile } from "./formats/model-file.js";
import { openModel } from "./formats/open.js";
import { nodeModules } from "./runtime/node-modules.js";
import { platform } from "./runtime/platform.js";

let weights: URL | undefined;

/** Tells where the package's folder `weights` is, where this module does not know it: in a bundle. */
export function setWeightsFolder(folder: URL): void {
  weights = folder;
}

/** The story model inside the package. */
export async function openEmbedded(signal: AbortSignal | undefined): Promise<ModelFile> {
  const where = await place("story.gguf");
  if (!(where instanceof URL)) return openModel(where, { signal });
  try {
    return await openModel(where, { signal });
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
export async function embeddedCalibration(): Promise<Calibration> {
  const where = await place("story.calibration.json");
  if (where instanceof URL) return (await (await fetch(where)).json()) as Calibration;
  const { readFile } = await nodeModules.fs();
  return JSON.parse(await readFile(where, "utf8")) as Calibration;
}

/** A path where there are files, a URL in browsers. */
async function place(name: string): Promise<string | URL> {
  const url = new URL(name, weights ?? new URL("../weights/", import.meta.url));
  if (platform === "browser") return url;
  const { fileURLToPath } = await nodeModules.url();
  return fileURLToPath(url);
}
