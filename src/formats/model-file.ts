import type { ModelConfig } from "../config.js";
import type { MatrixRole, ModelRole, VectorRole } from "../model/architectures/roles.js";
import type { ByteSource } from "./source.js";
import type { Strings } from "./string-list.js";
import type { SuggestedSampling } from "./suggested-sampling.js";

/** Element types of stored tensors. `HF_BITNET_U8` is the packed-row ternary form of Hugging Face BitNet files. */
export type TensorType =
  | "F32"
  | "F16"
  | "BF16"
  | "Q4_0"
  | "Q4_1"
  | "Q5_0"
  | "Q5_1"
  | "Q8_0"
  | "Q2_K"
  | "Q3_K"
  | "Q4_K"
  | "Q5_K"
  | "Q6_K"
  | "TQ1_0"
  | "TQ2_0"
  | "I2_S"
  | "HF_BITNET_U8";

/**
 * Byte layout of an I2_S tensor; the file type id alone does not tell. `block128`: 128 values in 32 bytes (official
 * files, x86); `block64`: 64 values in 16 bytes (converted on ARM since 2025-11); `rows4`: four rows per byte.
 */
export type I2SLayout = "block128" | "block64" | "rows4";

/** One stored tensor: where its bytes are and what they mean. Nothing is read yet. */
export interface TensorInfo {
  /** Name in the file. */
  name: string;
  type: TensorType;
  /** Logical shape, outermost first: `[rows, columns]` for a matrix, `[n]` for a vector. */
  shape: number[];
  source: ByteSource;
  /** Absolute byte offset in `source`. */
  offset: number;
  byteLength: number;
  /** Only for I2_S. */
  i2sLayout?: I2SLayout | undefined;
}

/** A tensor of the model, with what its file says about its use. */
export interface LinearTensor extends TensorInfo {
  /**
   * `absmean`: full-precision master weights that become ternary at load: m = max(mean|W|, 1e-5),
   * w = clamp(round_half_even(W / m), −1, 1), output scale m (rounded to bf16 when `masterScaleBf16`).
   */
  quantise?: "absmean" | undefined;
  masterScaleBf16?: boolean | undefined;
  /** Factor on the output of a ternary matrix whose scale is stored in another tensor; already inverted where a file divides. */
  scale?: number | undefined;
  /**
   * Order of the rows inside each head of a q or k matrix, or of the values of its bias. `interleaved` (GGUF `llama`): rows 2j, 2j+1 form a RoPE
   * pair; the loader moves them to `halves` (j, j + headDim/2), the only order the forward pass knows.
   */
  rowOrder?: "halves" | "interleaved" | undefined;
  /** Added to every value of a vector. */
  add?: number | undefined;
}

/** A layer's tensors by role; vectors the architecture or the file does without are absent. */
export type LayerTensors = { [Role in MatrixRole]: LinearTensor } & { [Role in VectorRole]?: LinearTensor | undefined };

/** Tensors by role; `head` is absent when it is the embedding. */
export type ModelTensors = { [Role in ModelRole]?: LinearTensor | undefined } & {
  embedding: LinearTensor;
  outputNorm: LinearTensor;
  layers: LayerTensors[];
};

/** Kind of each vocabulary entry, numbered as in GGUF `tokenizer.ggml.token_type`. */
export const TokenType = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** Tokenizer facts as found in a file, not yet interpreted. */
export interface TokenizerData {
  /** `bpe`: byte-level BPE (GGUF `gpt2`). `sentencepiece`: score-driven merges with ▁ (GGUF `llama`). */
  kind: "bpe" | "sentencepiece";
  /** Name of the pre-tokenizer (GGUF `tokenizer.ggml.pre`), or undefined when the file has none. */
  pre?: string | undefined;
  /** The regular expression itself, when the file gives one instead of a name (Hugging Face tokenizer.json). */
  pattern?: string | undefined;
  /** A piece of text that is a token is taken whole, whatever the merges say; with `pattern`. */
  ignoreMerges?: boolean | undefined;
  /** The Unicode normalisation a text gets first, if any. */
  normalization?: "NFC" | "NFKC" | undefined;
  /** Token texts by id; byte-level BPE entries in GPT-2's byte alphabet, control tokens literal. */
  tokens: string[];
  /** `TokenType` per id; empty when unknown. */
  types: number[] | Int32Array;
  /** Tokens that take the white space before them, or after them, along when they are found in a text. */
  stripLeft?: number[] | undefined;
  stripRight?: number[] | undefined;
  /** SentencePiece scores per id; absent where merges tell the order. */
  scores?: number[] | Float32Array | undefined;
  /** `"left right"` in merge order. */
  merges: Strings;
  bosId?: number | undefined;
  eosIds: number[];
  padId?: number | undefined;
  unknownId?: number | undefined;
  addBos?: boolean | undefined;
  /** Put `endId` after a text that is to become an embedding. */
  addEos?: boolean | undefined;
  endId?: number | undefined;
  addSpacePrefix?: boolean | undefined;
  /** Jinja source. */
  chatTemplate?: string | undefined;
}

/** A model found in a GGUF file or a Hugging Face folder: described completely, weights not yet read. */
export interface ModelFile {
  container: "gguf" | "safetensors";
  /** For messages. */
  name: string;
  config: ModelConfig;
  tensors: ModelTensors;
  tokenizer: TokenizerData;
  /** How the file suggests to choose tokens: the defaults of `SamplingOptions` for this model. */
  sampling?: SuggestedSampling | undefined;
  /** Raw metadata for `inspect`: GGUF key/values, or the parsed JSON files by name. */
  metadata: Map<string, unknown>;
  /** Every tensor in file order, for `inspect`. */
  allTensors: TensorInfo[];
  /** Things a user should know: overridden metadata, chosen I2_S layout and the evidence. */
  notes: string[];
  close(): Promise<void>;
}
