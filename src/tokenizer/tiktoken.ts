import type { Tiktoken } from "tiktoken/lite";
import { nodeModules } from "../platform/node-modules.js";
import { platform } from "../platform/platform.js";
import { fromAlphabet } from "./byte-alphabet.js";

type Library = typeof import("tiktoken/lite");

/** Gives tiktoken, or undefined where there is none. */
export type LoadTiktoken = () => Library | undefined;

/**
 * How to get tiktoken once it is needed: starting it takes longer than everything else a short prompt needs. It is read
 * from the installed package `tiktoken`; undefined where there is none to read, as in browsers and in programs bundled
 * into one file: they do without, with the same ids.
 */
export async function tiktokenLoader(): Promise<LoadTiktoken | undefined> {
  if (platform === "browser") return undefined;
  const { createRequire } = await nodeModules.module();
  return () => {
    try {
      return createRequire(import.meta.url)("tiktoken/lite");
    } catch {
      return undefined;
    }
  };
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
