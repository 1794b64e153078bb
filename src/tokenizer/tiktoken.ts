import type { Tiktoken } from "tiktoken/lite/init";
import { TokenizerError } from "../errors.js";
import { fromAlphabet } from "./byte-alphabet.js";

type Library = typeof import("tiktoken/lite/init");
let library: Promise<Library> | undefined;

/** Starts tiktoken's WebAssembly, which is embedded in this package, once per process. */
export function loadTiktoken(): Promise<Library> {
  library ??= start().catch((cause) => {
    library = undefined;
    throw new TokenizerError("tiktoken could not be started", {}, undefined, { cause });
  });
  return library;
}

async function start(): Promise<Library> {
  const [module, { tiktokenBinary }] = await Promise.all([
    import("tiktoken/lite/init"),
    import("./tiktoken-binary.js"),
  ]);
  const text = atob(tiktokenBinary);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  await module.init((imports) => WebAssembly.instantiate(bytes, imports));
  return module;
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
