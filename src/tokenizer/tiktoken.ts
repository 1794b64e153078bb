import type { Tiktoken } from "tiktoken/lite/init";
import { nodeModules } from "../runtime/node-modules.js";
import { platform } from "../runtime/platform.js";
import { fromAlphabet } from "./byte-alphabet.js";

type Library = typeof import("tiktoken/lite/init");
let library: Promise<Library | undefined> | undefined;

/**
 * Starts tiktoken's WebAssembly once per process. It is read from the installed package `tiktoken`; undefined where
 * there is none to read, as in browsers and in programs bundled into one file: they do without, with the same ids.
 */
export function loadTiktoken(): Promise<Library | undefined> {
  library ??= platform === "browser" ? Promise.resolve(undefined) : start();
  return library;
}

async function start(): Promise<Library | undefined> {
  const [{ createRequire }, { readFile }] = await Promise.all([nodeModules.module(), nodeModules.fs()]);
  let library: Library;
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    const require = createRequire(import.meta.url);
    library = require("tiktoken/lite/init");
    bytes = await readFile(require.resolve("tiktoken/lite/tiktoken_bg.wasm"));
  } catch {
    return undefined;
  }
  await library.init((imports) => WebAssembly.instantiate(bytes, imports));
  return library;
}

/**
 * A tiktoken encoder whose rank of a token is its id; undefined when it refuses the pattern.
 * @param ids token texts in the byte alphabet → id, in increasing order of the ids
 */
export function createTiktoken(
  library: Library,
  ids: ReadonlyMap<string, number>,
  pattern: string,
): Tiktoken | undefined {
  // One line `! first-rank base64 base64 …` per run of consecutive ranks.
  let ranks = "";
  let next = -1;
  for (const [text, id] of ids) {
    if (id !== next) ranks += `${ranks ? "\n" : ""}! ${id}`;
    const bytes = fromAlphabet(text)!;
    ranks += ` ${btoa(String.fromCharCode(...bytes))}`;
    next = id + 1;
  }
  try {
    return new library.Tiktoken(ranks, {}, pattern);
  } catch {
    return undefined;
  }
}
