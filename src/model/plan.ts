import type { ModelConfig } from "../config.js";
import type { Weight } from "../matmul/weight.js";
import { type MatrixRole, matrixRoles, type VectorRole } from "./architectures/roles.js";
import type { RopeTables } from "./rope-tables.js";

// Everything a thread needs to run a model: plain data, sent to every thread once. Vectors and buffers are byte
// addresses in the linear memory; all numbers there are f32 unless said otherwise.

/** A layer's tensors by role: matrices, and the addresses of vectors, 0 where the architecture has none. */
export type LayerWeights = { [Role in MatrixRole]: Weight } & { [Role in VectorRole]: number };

/**
 * The same layers in objects that lie one after another in memory: a token reads all of them, and its weights have driven
 * them out of the caches since the last (25 µs of a token of SmolLM2).
 */
export function layersInOrder(layers: readonly LayerWeights[]): LayerWeights[] {
  return layers.map((layer) => {
    const copy = { ...layer };
    for (const role of matrixRoles) copy[role] = { ...layer[role] };
    return copy;
  });
}

/** Buffers of one forward pass over at most `batch` rows: tokens of one or more sequences. */
export interface Buffers {
  /** Token ids, i32 `[batch]`. */
  ids: number;
  /** The residual stream, `[batch, hidden]`. */
  hidden: number;
  /** `[batch, max(hidden, heads · headDim)]` */
  normed: number;
  /** `[batch, heads · headDim]` */
  queries: number;
  /** `[batch, kvHeads · headDim]` */
  keys: number;
  /** `[batch, kvHeads · headDim]` */
  values: number;
  /** `[batch, heads · headDim]` */
  attended: number;
  /** `[batch, ffn]` */
  gate: number;
  /** `[batch, ffn]` */
  up: number;
  /** Quantised input of the next matrix product, for int8 per token and for int8 per block. */
  activations: { "int8-token": number; "int8-block": number };
  /** One row of logits, `[vocab]`. */
  logits: number;
  /** Scratch of attention, shared by all threads. */
  attentionScratch: number;
  /** Scratch of each thread for matrix products; `scratchBytes` apart. */
  scratch: number;
  scratchBytes: number;
  /** Counters of feed-forward networks (ffn-counters.ts), 0 where nothing is left out. */
  ffnCounters: number;
}

export interface ModelPlan {
  config: ModelConfig;
  /** `[vocab, hidden]` */
  embedding: Weight;
  layers: LayerWeights[];
  /** `[hidden]` */
  outputNorm: number;
  /** `[vocab, hidden]`; the embedding where they are tied. */
  head: Weight;
  rope: RopeTables;
  buffers: Buffers;
  /** Most rows of one forward pass. */
  batch: number;
}
