/** Llama 3 RoPE frequency scaling (formats: `rope_scaling.rope_type = "llama3"`). */
export interface Llama3RopeScaling {
  factor: number;
  lowFreqFactor: number;
  highFreqFactor: number;
  originalContextLength: number;
}

/**
 * LongRoPE (Ding et al. 2024, arXiv 2402.13753): frequency i is divided by factor i, and cosines and sines are multiplied
 * by `magnitude`. Sessions of at most `originalContextLength` tokens take the short factors, longer ones the long ones:
 * decided once by the context a model is loaded with, as in llama.cpp, because keys turned by both cannot be mixed.
 */
export interface LongRope {
  /** `[ropeDim / 2]` each. */
  shortFactors: readonly number[];
  longFactors: readonly number[];
  originalContextLength: number;
  magnitude: number;
}

/** Layers that see only the newest keys. */
export interface SlidingWindow {
  /** Keys a query sees, its own included. */
  size: number;
  /** Which layers have the window, by index. */
  layers: readonly boolean[];
  /** RoPE base of these layers, which then scale no frequencies. Default: they turn as the others do. */
  ropeTheta?: number | undefined;
}

/** How the vectors of a text's tokens become one: `last` the last token's, `cls` the first's. */
export type Pooling = "mean" | "cls" | "last";

/**
 * The shape of a model and the switches by which architectures differ: everything the forward pass needs but the weights.
 * Plain data; can be cloned to a worker. A switch that is absent is off.
 */
export interface ModelConfig {
  /** Name of the architecture, see `architectures/`. */
  architecture: string;
  /** Name found in the file, for people. */
  name: string;
  layers: number;
  /** Width of the residual stream. */
  hidden: number;
  /** Width of the feed-forward layer. */
  ffn: number;
  /** Query heads. */
  heads: number;
  /** Key/value heads; divides `heads`. */
  kvHeads: number;
  /** Elements per head, even; `heads · headDim` need not be `hidden`. */
  headDim: number;
  vocab: number;
  /** Longest context the model was made for, in tokens. */
  contextLength: number;
  rmsNormEps: number;
  ropeTheta: number;
  /** Present when frequencies must be computed with Llama 3 scaling and the file has no `rope_freqs` tensor. */
  ropeScaling?: Llama3RopeScaling | undefined;
  /** Frequencies are divided by it (RoPE scaling `linear`), except in layers with a sliding window. */
  ropeDivisor?: number | undefined;
  longRope?: LongRope | undefined;
  /** Elements of a head that are turned, the first ones; even. Default: all. */
  ropeDim?: number | undefined;
  /** Whether a layer turns queries and keys at all, by index. Default: every layer does. */
  ropeLayers?: readonly boolean[] | undefined;
  window?: SlidingWindow | undefined;
  /** Gate of the feed-forward layer. */
  activation: "relu2" | "silu" | "gelu-tanh";
  /** Factor on the embedding. */
  embeddingScale?: number | undefined;
  /** Factor on q·k. Default 1/√headDim. */
  attentionScale?: number | undefined;
  /** Factor on what a layer's two halves add to the residual stream. */
  residualScale?: number | undefined;
  /** The logits are divided by it. */
  logitDivisor?: number | undefined;
  /** The logits become cap · tanh(logit / cap). */
  logitSoftcap?: number | undefined;
  /** Every token sees every other, the later ones too: a model for embeddings only. */
  bidirectional?: boolean | undefined;
  /** Present in models made for embeddings whose file says so. */
  pooling?: Pooling | undefined;
  /** What comes out of the two matrices after pooling, where a GGUF file may have them. */
  dense?: readonly [number, number] | undefined;
}

/** Keys a query of this layer sees, its own included; undefined: all before it. */
export function windowOf(config: ModelConfig, layer: number): number | undefined {
  return config.window?.layers[layer] ? config.window.size : undefined;
}

/** Keys a query sees by layer, 0 for all; undefined when no layer has a window. */
export function windowsOf(config: ModelConfig): number[] | undefined {
  return config.window?.layers.map((windowed) => (windowed ? (config.window?.size ?? 0) : 0));
}

/** Whether this layer turns queries and keys by their positions. */
export function turns(config: ModelConfig, layer: number): boolean {
  return config.ropeLayers?.[layer] ?? true;
}

/** Elements of a head that are turned. */
export function ropeDimOf(config: ModelConfig): number {
  return config.ropeDim ?? config.headDim;
}
