import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { readSettings, type Settings } from "./conversation.js";

/** Everything an answer follows from, and a hash of it: who opens the link computes it again and compares. */
export interface SharedAnswer {
  version: 1;
  model: string;
  /** Name or address anybody can get the model by, where it has one. */
  source: string | undefined;
  fingerprint: string | undefined;
  /** Delta attention's share of dropped changes; undefined: full attention. */
  sparsity: number | undefined;
  /** Whether selection was on. */
  select?: boolean | undefined;
  settings: Settings;
  seed: number;
  messages: { role: "user" | "assistant"; content: string }[];
  /** SHA-256 of the answer's text, in hexadecimal. */
  answer: string;
}

/** The link's fragment, which no server is sent. */
export function toFragment(shared: SharedAnswer): string {
  const utf8 = new TextEncoder().encode(JSON.stringify(shared));
  let binary = "";
  for (const byte of utf8) binary += String.fromCharCode(byte);
  return `#answer=${btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`;
}

/** Reads a fragment; undefined where it is none or damaged. */
export function fromFragment(fragment: string): SharedAnswer | undefined {
  const text = /^#answer=([\w-]+)$/.exec(fragment)?.[1];
  if (text === undefined) return undefined;
  try {
    const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    const given = JSON.parse(
      new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(binary, (c) => c.charCodeAt(0))),
    );
    const { version, model, source, sparsity, select, fingerprint, seed, messages, answer } = given as SharedAnswer;
    if (version !== 1 || !Number.isSafeInteger(seed) || !/^[0-9a-f]{64}$/.test(answer) || !Array.isArray(messages))
      return undefined;
    for (const { role, content } of messages)
      if ((role !== "user" && role !== "assistant") || typeof content !== "string") return undefined;
    return {
      version,
      model: String(model),
      source: typeof source === "string" && source.length < 500 ? source : undefined,
      sparsity: typeof sparsity === "number" && sparsity >= 0 && sparsity <= 0.9 ? sparsity : undefined,
      select: select === true || undefined,
      fingerprint: typeof fingerprint === "string" ? fingerprint : undefined,
      settings: readSettings(given.settings),
      seed,
      messages: messages.map(({ role, content }) => ({ role, content })),
      answer,
    };
  } catch {
    return undefined;
  }
}

/** SHA-256 in hexadecimal. Not `crypto.subtle`: a page that came without TLS from another machine has none. */
export function hashOf(text: string): string {
  return bytesToHex(sha256(utf8ToBytes(text)));
}
