import { OptionError } from "../errors.js";
import type { PullPlan } from "../hub/plan.js";
import type { HubOptions } from "../hub/settings.js";
import type { FitOptions } from "../model/fits.js";
import { formatBytes, printable } from "./format.js";
import type { Terminal } from "./terminal.js";

/** What the flags say about the hub. */
export function hubOptions(flags: { offline?: boolean | undefined }): HubOptions | undefined {
  return flags.offline ? { offline: true } : undefined;
}

/**
 * Downloads the model of a name that the cache does not have, after a question where there is somebody to answer.
 * @returns the options with which the model loads without another question to the hub
 * @throws OptionError when the answer is no
 */
export async function pullFirst(
  terminal: Terminal,
  source: string,
  options: { yes?: boolean | undefined; hub?: HubOptions | undefined; fit?: FitOptions | undefined },
): Promise<HubOptions | undefined> {
  if (source === "embedded" || source.startsWith("random:")) return options.hub;
  const [{ nameOf, openCache, planUnlessFolder }, { findCached }, { hubSettings }] = await Promise.all([
    import("../hub/source.js"),
    import("../hub/plan.js"),
    import("../hub/settings.js"),
  ]);
  const settings = await hubSettings(options.hub, terminal.host.env);
  const name = await nameOf(source, settings);
  const cache = name && (await openCache(settings));
  if (!name || !cache) return options.hub;
  const here = { ...options.hub, cacheFolder: settings.cacheFolder, endpoint: settings.endpoint };
  await terminal.interruptible(async (signal) => {
    if (await findCached(settings, cache, name, signal)) return;
    const plan = await planUnlessFolder(settings, cache, name, signal);
    if (!plan) {
      Object.assign(here, { cacheUrls: false });
      return;
    }
    const { refuseTooLarge } = await import("../hub/too-large.js");
    await refuseTooLarge(settings, plan, options.fit, signal);
    if (!options.yes) await confirm(terminal, plan, signal);
    await pullWithBar(terminal, settings, cache, plan, signal);
  });
  return "cacheUrls" in here ? here : { ...here, offline: true };
}

/** Pulls a plan and shows how far it is. */
export async function pullWithBar(
  terminal: Terminal,
  settings: Parameters<typeof import("../hub/pull.js").pull>[0],
  cache: Parameters<typeof import("../hub/pull.js").pull>[1],
  plan: PullPlan,
  signal: AbortSignal,
  verify = false,
) {
  const [{ pull }, { DownloadBar }] = await Promise.all([import("../hub/pull.js"), import("./download-bar.js")]);
  const bar = new DownloadBar(terminal);
  try {
    return await pull(settings, cache, plan, { signal, verify, onProgress: (progress) => bar.update(progress) });
  } finally {
    bar.clear();
  }
}

/** Asks on the terminal; where there is none, whoever gave the name has said yes. */
async function confirm(terminal: Terminal, plan: PullPlan, signal: AbortSignal): Promise<void> {
  const { missingBytes } = await import("../hub/plan.js");
  const bytes = missingBytes(plan);
  const { stdin, stderr } = terminal.host;
  if (bytes === 0 || !stdin.isTTY || !stderr.isTTY) return;
  const what = `${plan.repository}${plan.kind === "url" ? "" : `/${plan.main}`}`;
  const { createInterface } = await import("node:readline/promises");
  const reader = createInterface({ input: stdin, output: stderr, terminal: true });
  try {
    const text = await new Promise<string>((resolve, reject) => {
      reader.once("SIGINT", () => reject(new OptionError("Nothing was downloaded")));
      reader.once("close", () => resolve("n"));
      reader.question(printable(`Download ${what} (${formatBytes(bytes)})? [Y/n] `), { signal }).then(resolve, reject);
    });
    if (!/^\s*(?:y|yes|)\s*$/i.test(text)) throw new OptionError("Nothing was downloaded");
  } finally {
    reader.close();
  }
}
