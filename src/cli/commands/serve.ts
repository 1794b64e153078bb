import type { NetworkInterfaceInfo } from "node:os";
import { OptionError } from "../../errors.js";
import { resolveLimits } from "../../generate/options.js";
import { resolveSampling } from "../../generate/sampling-options.js";
import type { RequestRecord, ServedModel } from "../../server/options.js";
import type { LoadOptions } from "../../types.js";
import { readText } from "../input.js";
import { loadOptions } from "../model.js";
import { generateOptions, type SamplingFlags } from "../options.js";
import { pullFirst } from "../pull-first.js";
import { Interrupted, type Terminal } from "../terminal.js";

export interface ServeFlags extends Omit<SamplingFlags, "model"> {
  model: string[];
  system?: string;
  host: string;
  port: number;
  apiKeyFile?: string;
  auth: boolean;
  cors?: string[];
  allowedHost?: string[];
  parallel: number;
  queue: number;
  perKey?: number;
  timeout: number;
  unloadAfter?: number;
  maxLoaded: number;
  prefixCache?: number;
  log: "text" | "json" | "none";
  logPrompts?: boolean;
  page: boolean;
}

/** `serve`: the OpenAI-compatible server and the chat page, until SIGTERM or Ctrl-C. */
export async function serveModels(terminal: Terminal, flags: ServeFlags): Promise<void> {
  const defaults = generateOptions({ ...flags, model: "" });
  resolveLimits(defaults);
  resolveSampling(defaults);
  const { serve } = await import("../../server/serve.js");
  const { yes, ...load } = await loadOptions(terminal, { ...flags, model: "" });
  if (flags.prefixCache !== undefined) load.prefixCacheBytes = flags.prefixCache * 2 ** 20;
  const models = servedModels(flags.model, load);
  // Asked for now, while somebody looks at the terminal, and not by the first request.
  for (const model of Object.values(models)) {
    if (!("source" in model) || typeof model.source !== "string") continue;
    const hub = await pullFirst(terminal, model.source, { yes, hub: load.hub, fit: load });
    model.options = { ...model.options, hub };
  }
  const { seed, ...rest } = defaults;
  const server = await serve({
    models,
    defaults: { ...rest, seed },
    system: flags.system,
    host: flags.host,
    port: flags.port,
    noAuth: !flags.auth,
    apiKeys: flags.apiKeyFile === undefined ? undefined : await readKeys(terminal, flags.apiKeyFile),
    allowedOrigins: flags.cors,
    allowedHosts: flags.allowedHost,
    parallel: flags.parallel,
    queue: flags.queue,
    perKey: flags.perKey,
    timeout: flags.timeout,
    unloadAfter: flags.unloadAfter,
    maxLoaded: flags.maxLoaded,
    maxTokens: defaults.maxTokens,
    logPrompts: flags.logPrompts,
    onRequest: (record) => log(terminal, flags.log, record),
    page: flags.page ? (await import("../../server/page.js")).chatPage : undefined,
  });
  const stopping = terminated(terminal);
  try {
    const names = Object.keys(models);
    if (flags.json) await terminal.json({ url: server.url, port: server.port, models: names });
    else await terminal.line(`Listening on ${server.url} (${names.join(", ")}); Ctrl-C stops`);
    const others = flags.json ? [] : await networkUrls(flags.host, server.port);
    if (others.length > 0) await terminal.line(`From other machines: ${others.join(" or ")}`);
    await Promise.race([server.handler.preload(), stopping.first]);
    if (!flags.json) await terminal.note("Ready.");
    await stopping.first;
    const { running, waiting } = server.handler.load;
    if (running + waiting > 0 && flags.log !== "none")
      await terminal.note(`Finishing ${running + waiting} requests; once more ends them.`);
    await Promise.race([server.close(), stopping.second.then(() => server.terminate())]);
  } catch (error) {
    await server.terminate();
    throw error;
  } finally {
    stopping.release();
  }
}

/** Where others find a server that listens on all addresses of this machine. */
async function networkUrls(host: string, port: number): Promise<string[]> {
  if (host !== "0.0.0.0" && host !== "::") return [];
  let addresses: NetworkInterfaceInfo[] = [];
  try {
    const { networkInterfaces } = await import("node:os");
    addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  } catch {
    // Some systems do not tell; it is only a hint.
  }
  return addresses.flatMap(({ family, internal, address }) =>
    internal || family !== "IPv4" ? [] : `http://${address}:${port}`,
  );
}

/** `NAME=SOURCE` or `SOURCE`, whose name is then what follows its last slash. */
function servedModels(sources: readonly string[], options: LoadOptions): Record<string, ServedModel> {
  const models: Record<string, ServedModel> = {};
  for (const given of sources) {
    const [, named, source = given] = /^([\w.:-]+)=(.+)$/.exec(given) ?? [];
    const name =
      named ??
      (
        source
          .replace(/[\\/]+$/, "")
          .split(/[\\/]/)
          .at(-1) as string
      ).replace(/\.gguf$/i, "");
    if (models[name])
      throw new OptionError(`Two models are called ${name}`, { key: "--model" }, `Name them: --model first=${source}`);
    models[name] = { source, options };
  }
  return models;
}

async function readKeys(terminal: Terminal, file: string): Promise<string[]> {
  const lines = (await readText(terminal, file)).split(/\r?\n/).map((line) => line.trim());
  const keys = lines.filter((line) => line !== "" && !line.startsWith("#"));
  if (keys.length === 0)
    throw new OptionError("There is no API key in the file", { file, key: "--api-key-file" }, "Write one key per line");
  return keys;
}

/** Resolves at the first and at the second request to stop, by Ctrl-C or SIGTERM. */
function terminated(terminal: Terminal) {
  let stop: (() => void) | undefined;
  let force: (() => void) | undefined;
  const first = new Promise<void>((resolve) => {
    stop = resolve;
  });
  const second = new Promise<void>((resolve) => {
    force = resolve;
  });
  let times = 0;
  const listener = () => (times++ === 0 ? stop : force)?.();
  const releases = [terminal.host.onInterrupt(listener), terminal.host.onTerminate(listener)];
  terminal.signal.addEventListener("abort", () => {
    if (!(terminal.signal.reason instanceof Interrupted)) listener();
  });
  return {
    first,
    second,
    release() {
      for (const release of releases) release();
    },
  };
}

function log(terminal: Terminal, form: ServeFlags["log"], record: RequestRecord): void {
  if (form === "none") return;
  const text = form === "json" ? JSON.stringify(record) : line(record);
  // A log that cannot be written must not stop the server.
  terminal.note(text).catch(() => undefined);
}

function line(record: RequestRecord): string {
  const { time, method, path, status, ms, model, promptTokens, cachedTokens, completionTokens, finishReason, error } =
    record;
  const parts = [time, method, path, String(status), `${ms.toFixed(0)} ms`];
  if (model !== undefined) parts.push(model);
  if (promptTokens !== undefined)
    parts.push(`${promptTokens} prompt tokens (${cachedTokens ?? 0} cached)`, `${completionTokens ?? 0} written`);
  if (finishReason !== undefined) parts.push(finishReason);
  if (error !== undefined) parts.push(`error: ${error.split("\n")[0]}`);
  return parts.join(" · ");
}
