import { nodeModules } from "./node-modules.js";

/** The kind of JavaScript runtime this is. */
export type Platform = "node" | "deno" | "bun" | "browser";

interface Globals {
  Deno?: unknown;
  Bun?: unknown;
  process?: { versions?: { node?: string } };
  crossOriginIsolated?: boolean;
  navigator?: { hardwareConcurrency?: number };
}
const globals = globalThis as unknown as Globals;

export const platform: Platform = globals.Deno
  ? "deno"
  : globals.Bun
    ? "bun"
    : globals.process?.versions?.node
      ? "node"
      : "browser";

/** Cores this process may use. */
export async function availableCores(): Promise<number> {
  if (platform === "browser") return globals.navigator?.hardwareConcurrency ?? 1;
  const os = await nodeModules.os();
  return os.availableParallelism?.() ?? os.cpus().length;
}

/** Why threads cannot be had here, or undefined when they can. */
export function noThreadsReason(): string | undefined {
  if (typeof SharedArrayBuffer === "undefined" || globals.crossOriginIsolated === false)
    return "no shared memory: the page is served without COOP and COEP headers";
  return undefined;
}
