// The page's side of store-worker.js.
const worker = new Worker(new URL("./store-worker.js", import.meta.url), { type: "module" });
const waiting = new Map();
let next = 1;

worker.onmessage = ({ data: { id, value, error, name, progress } }) => {
  const call = waiting.get(id);
  if (!call) return;
  if (progress !== undefined) return call.onProgress?.(progress);
  waiting.delete(id);
  if (error !== undefined) call.reject(Object.assign(new Error(error), { name }));
  else call.resolve(value);
};

function ask(operation, args = {}, { onProgress, signal } = {}) {
  const id = next++;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject, onProgress });
    worker.postMessage({ do: operation, id, ...args });
    signal?.addEventListener("abort", () => worker.postMessage({ do: "cancel", id: next++, of: id }));
  });
}

/** Whether this browser can keep files at all; private windows often cannot. */
export async function canKeep() {
  try {
    await navigator.storage.getDirectory();
    return true;
  } catch {
    return false;
  }
}

export const list = () => ask("list");
export const drop = (name) => ask("drop", { name });
/** @param from `{ file }` or `{ url }`; `chunk`: bytes of one part */
export const keep = (name, from, options) => ask("keep", { name, ...from }, options);
export const open = (name, options) => ask("open", { name }, options);
