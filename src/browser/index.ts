// The package as web pages get it.

import { type HostThread, loadRemoteModel } from "../remote/remote-model.js";
import type { LoadOptions, Model, ModelSource } from "../types.js";
import { withEngineUrl } from "./engine-url.js";
import { startHost } from "./start-host.js";

export * from "../errors.js";
export { modelFingerprint } from "../formats/fingerprint.js";
export { filesFolder } from "../formats/folder.js";
export { keepModel, listModels, removeModel } from "../hub/library.js";

/**
 * Reads a model and makes it ready to compute. On a page the model lives in a worker and what is returned talks to it;
 * in a worker it lives right there.
 */
export async function loadModel(source: ModelSource, options: LoadOptions = {}): Promise<Model> {
  const { workerUrl, ...rest } = options;
  rest.signal?.throwIfAborted();
  // What is downloaded shall stay. Only a page may ask for that, and the answer changes nothing else.
  if (typeof source === "string" && source !== "embedded")
    void globalThis.navigator?.storage?.persist?.().catch(() => {});
  const host = await withEngineUrl(workerUrl, typeof document === "undefined" ? hostInPlace : startHost);
  return loadRemoteModel(host, source, rest);
}

/** An engine in this very thread. It is spoken to like the others: the module it lives in has classes of its own. */
async function hostInPlace(url: string): Promise<HostThread> {
  const engine: typeof import("./engine.js") = await import(/* @vite-ignore */ /* webpackIgnore: true */ url);
  const { port1, port2 } = new MessageChannel();
  engine.serveHost(port1);
  return {
    port: port2,
    onFailure() {},
    terminate() {
      port1.close();
      port2.close();
    },
  };
}
