import type { GridDescriptor } from "./constants.js";
import type { CacheKind } from "./layout.js";

/** Everything a thread must know about a cache: plain numbers, cloned once; what changes lives in the model's memory. */
export interface CacheDescriptor {
  readonly kind: CacheKind;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly contextLength: number;
  /** Address of the table of key blocks: one u32 address per 64 tokens. */
  readonly keyTable: number;
  /** Address of the table of value blocks. */
  readonly valueTable: number;
  /** Address of what assembly/attention/parameters.ts describes. */
  readonly parameters: number;
  /** Address of the counters, see counters.ts. */
  readonly counters: number;
  /** Present when keys are kept on a calibrated grid. */
  readonly grid?: GridDescriptor | undefined;
  /** Present for delta attention. */
  readonly delta?: DeltaDescriptor | undefined;
  readonly valueCutoff: number;
  /** Address of Σ q·qᵀ per layer and KV head, f32 [d][d], when the cache records for a calibration. */
  readonly record?: number | undefined;
}

export interface DeltaDescriptor {
  /** θ² per layer and KV head. */
  readonly limits: readonly number[];
  /** Row grain: far spans are merged, see merge.ts. */
  readonly merges: boolean;
}
