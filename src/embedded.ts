import type { Calibration } from "./attention/calibration.js";
import type { ModelFile } from "./formats/model-file.js";
import { openModel } from "./formats/open.js";
import { platform } from "./runtime/platform.js";

/** The story model inside the package. */
export async function openEmbedded(signal: AbortSignal | undefined): Promise<ModelFile> {
  return openModel(await place("story.gguf"), { signal });
}

/** The calibration of the embedded model, for delta attention at any sparsity. */
export async function embeddedCalibration(): Promise<Calibration> {
  const where = await place("story.calibration.json");
  if (where instanceof URL) return (await (await fetch(where)).json()) as Calibration;
  const { readFile } = await import("node:fs/promises");
  return JSON.parse(await readFile(where, "utf8")) as Calibration;
}

/** A path where there are files, a URL in browsers. */
async function place(name: string): Promise<string | URL> {
  const url = new URL(`../weights/${name}`, import.meta.url);
  if (platform === "browser") return url;
  const { fileURLToPath } = await import("node:url");
  return fileURLToPath(url);
}
