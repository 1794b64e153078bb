/**
 * The modules of Node that this package uses where there are any (Node, Deno, Bun). Their names are put together only
 * when they are needed, so that bundlers for browsers do not look for them.
 */
export const nodeModules = {
  crypto: () => load<typeof import("node:crypto")>("crypto"),
  fs: () => load<typeof import("node:fs/promises")>("fs/promises"),
  module: () => load<typeof import("node:module")>("module"),
  os: () => load<typeof import("node:os")>("os"),
  url: () => load<typeof import("node:url")>("url"),
  workers: () => load<typeof import("node:worker_threads")>("worker_threads"),
};

function load<Module>(name: string): Promise<Module> {
  return import(/* @vite-ignore */ /* webpackIgnore: true */ `node:${name}`);
}
