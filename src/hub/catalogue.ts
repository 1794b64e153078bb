/** A model that can be asked for by a short name. */
export interface CatalogueEntry {
  repository: string;
  /** Quantisation that is meant when none is named. Default: by the rule for every repository. */
  quant?: string;
  /** Licence, as its repository names it. */
  licence: string;
  /** Parameters, for people. */
  size: string;
}

/**
 * Short names and what they stand for. No commits and no hashes: `pull` prints those it found, so that a user can pin
 * them with `@commit`.
 */
export const catalogue: Readonly<Record<string, CatalogueEntry>> = {
  "bitnet-2b": { repository: "microsoft/bitnet-b1.58-2B-4T-gguf", licence: "mit", size: "2.4B" },
  "smollm2-135m": { repository: "bartowski/SmolLM2-135M-Instruct-GGUF", licence: "apache-2.0", size: "135M" },
  "smollm2-360m": { repository: "bartowski/SmolLM2-360M-Instruct-GGUF", licence: "apache-2.0", size: "360M" },
  "smollm2-1.7b": { repository: "bartowski/SmolLM2-1.7B-Instruct-GGUF", licence: "apache-2.0", size: "1.7B" },
  "smollm3-3b": { repository: "ggml-org/SmolLM3-3B-GGUF", licence: "apache-2.0", size: "3B" },
  "llama-3.2-1b": { repository: "bartowski/Llama-3.2-1B-Instruct-GGUF", licence: "llama3.2", size: "1.2B" },
  "qwen3-0.6b": { repository: "Qwen/Qwen3-0.6B-GGUF", licence: "apache-2.0", size: "0.6B" },
  "qwen3-1.7b": { repository: "Qwen/Qwen3-1.7B-GGUF", licence: "apache-2.0", size: "1.7B" },
  "qwen2.5-0.5b": { repository: "Qwen/Qwen2.5-0.5B-Instruct-GGUF", licence: "apache-2.0", size: "0.5B" },
  "qwen2.5-1.5b": { repository: "Qwen/Qwen2.5-1.5B-Instruct-GGUF", licence: "apache-2.0", size: "1.5B" },
  "gemma-3-270m": { repository: "ggml-org/gemma-3-270m-it-GGUF", licence: "gemma", size: "270M" },
  "gemma-3-1b": { repository: "ggml-org/gemma-3-1b-it-GGUF", licence: "gemma", size: "1B" },
  "granite-3.3-2b": { repository: "ibm-granite/granite-3.3-2b-instruct-GGUF", licence: "apache-2.0", size: "2.5B" },
  "falcon-e-1b": { repository: "tiiuae/Falcon-E-1B-Instruct-GGUF", licence: "falcon-llm-license", size: "1.7B" },
  "falcon-e-3b": { repository: "tiiuae/Falcon-E-3B-Instruct-GGUF", licence: "falcon-llm-license", size: "3B" },
};

/** Other ways people write these names. */
const aliases: Readonly<Record<string, string>> = {
  bitnet: "bitnet-2b",
  "bitnet-b1.58-2b-4t": "bitnet-2b",
  smollm2: "smollm2-135m",
  "smollm2-135m-instruct": "smollm2-135m",
  "smollm2-360m-instruct": "smollm2-360m",
  "smollm2-1.7b-instruct": "smollm2-1.7b",
  smollm3: "smollm3-3b",
  "llama-3.2-1b-instruct": "llama-3.2-1b",
  "llama3.2-1b": "llama-3.2-1b",
  "qwen2.5-0.5b-instruct": "qwen2.5-0.5b",
  "qwen2.5-1.5b-instruct": "qwen2.5-1.5b",
  "gemma3-270m": "gemma-3-270m",
  "gemma3-1b": "gemma-3-1b",
};

/** Every short name, in small letters. */
export const shortNames: ReadonlyMap<string, CatalogueEntry> = new Map([
  ...Object.entries(catalogue),
  ...Object.entries(aliases).map(([alias, name]) => [alias, catalogue[name] as CatalogueEntry] as const),
]);
