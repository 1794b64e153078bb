/** Llama 3 RoPE frequency scaling (formats: `rope_scaling.rope_type = "llama3"`). */
export interface Llama3RopeScaling {
  factor: number;
  lowFreqFactor: number;
  highFreqFactor: number;
  originalContextLength: number;
}

/** The shape of a model: everything the forward pass needs but the weights. Plain data; can be cloned to a worker. */
export interface ModelConfig {
  /** Which forward pass: `bitnet` has two sub-norms per layer, `llama` has none. */
  architecture: "bitnet" | "llama";
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
  /** Elements per head, even. */
  headDim: number;
  vocab: number;
  /** Longest context the model was made for, in tokens. */
  contextLength: number;
  rmsNormEps: number;
  ropeTheta: number;
  /** Present when frequencies must be computed with Llama 3 scaling and the file has no `rope_freqs` tensor. */
  ropeScaling?: Llama3RopeScaling | undefined;
  /** Gate of the feed-forward layer. */
  activation: "relu2" | "silu";
}
