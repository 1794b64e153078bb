import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type TokenizerData, TokenType } from "#src/formats/model-file.js";
import { alphabetCharacter } from "#src/tokenizer/byte-alphabet.js";

const here = dirname(fileURLToPath(import.meta.url));

/** A JSON file of test/fixtures/tokenizers, typed by its reader. */
export function fixture<T>(name: string): T {
  // Compiled to build/test/helpers, three folders below the root of the package.
  return JSON.parse(readFileSync(join(here, "../../../test/fixtures/tokenizers", name), "utf8")) as T;
}

/** Path of a large file outside the repository, or undefined after saying so. */
export function sharedFile(path: string): string | undefined {
  const roots = [process.env.DELTALLM_SHARED ?? "", join(here, "../../../../shared")];
  const found = roots
    .filter((root) => root)
    .map((root) => join(root, path))
    .find(existsSync);
  if (!found) console.log(`SKIPPED: ${path} is not there (set DELTALLM_SHARED to the folder that has it)`);
  return found;
}

const asAlphabet = (bytes: Uint8Array) => Array.from(bytes, alphabetCharacter).join("");

interface HuggingFaceTokenizer {
  added_tokens: { id: number; content: string }[];
  pre_tokenizer: { pretokenizers: { pattern?: { Regex: string } }[] };
  model: { vocab: Record<string, number>; merges: [string, string][] };
}

/** The 4096-entry byte-level BPE of the story model. */
export function storyData(): TokenizerData {
  const json = fixture<HuggingFaceTokenizer>("story-tokenizer.json");
  const tokens: string[] = [];
  for (const [text, id] of Object.entries(json.model.vocab)) tokens[id] = text;
  const types: number[] = tokens.map(() => TokenType.normal);
  for (const { id, content } of json.added_tokens) {
    tokens[id] = content;
    types[id] = TokenType.control;
  }
  return {
    kind: "bpe",
    pattern: json.pre_tokenizer.pretokenizers[0]!.pattern!.Regex,
    tokens,
    types,
    merges: json.model.merges.map((pair) => pair.join(" ")),
    bosId: 4092,
    eosIds: [4093],
  };
}

/** Llama 3's ranks (`<base64> <rank>` lines), with a table of special tokens; no merges. */
export function llama3Data(special: Record<string, number>): TokenizerData | undefined {
  const file = sharedFile("data/llama3/tokenizer.model");
  if (!file) return undefined;
  const tokens: string[] = [];
  for (const line of readFileSync(file, "latin1").trim().split("\n")) {
    const [text, rank] = line.split(" ");
    tokens[Number(rank)] = asAlphabet(Buffer.from(text!, "base64"));
  }
  const types: number[] = tokens.map(() => TokenType.normal);
  for (const [text, id] of Object.entries(special)) {
    tokens[id] = text;
    types[id] = TokenType.control;
  }
  return { kind: "bpe", pre: "llama-bpe", tokens, types, merges: [], bosId: 128000, eosIds: [128001] };
}

/** Metadata of a GGUF file, enough of the format for one known file. */
export function ggufMetadata(path: string): Map<string, unknown> {
  const bytes = readFileSync(path);
  let at = 4 + 4 + 8;
  const u64 = () => {
    at += 8;
    return Number(bytes.readBigUInt64LE(at - 8));
  };
  const u32 = () => {
    at += 4;
    return bytes.readUInt32LE(at - 4);
  };
  const text = () => {
    const length = u64();
    at += length;
    return bytes.toString("utf8", at - length, at);
  };
  const sizes = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];
  const value = (type: number): unknown => {
    if (type === 8) return text();
    if (type === 9) {
      const of = u32();
      return Array.from({ length: u64() }, () => value(of));
    }
    at += sizes[type]!;
    const start = at - sizes[type]!;
    if (type === 4) return bytes.readUInt32LE(start);
    if (type === 5) return bytes.readInt32LE(start);
    if (type === 6) return bytes.readFloatLE(start);
    return bytes[start];
  };
  const metadata = new Map<string, unknown>();
  for (let left = u64(); left > 0; left--) metadata.set(text(), value(u32()));
  return metadata;
}

/** Tokenizer of SmolLM2-135M-Instruct. */
export function smollm2Data(): TokenizerData | undefined {
  const file = sharedFile("models/SmolLM2-135M-Instruct.Q4_1.gguf");
  if (!file) return undefined;
  const metadata = ggufMetadata(file);
  const get = <T>(key: string) => metadata.get(`tokenizer.${key}`) as T;
  return {
    kind: "bpe",
    pre: get("ggml.pre"),
    tokens: get("ggml.tokens"),
    types: get("ggml.token_type"),
    merges: get("ggml.merges"),
    bosId: get("ggml.bos_token_id"),
    eosIds: [get("ggml.eos_token_id")],
    addBos: Boolean(get("ggml.add_bos_token")),
    chatTemplate: get("chat_template"),
  };
}
