/** What a recording cache saw of one layer and KV head, after RoPE. */
export interface RecordedHead {
  /** f32 [tokens][d], positions 0 … */
  keys: Float32Array;
  /** f32 [tokens][d] */
  values: Float32Array;
  /** Σ q·qᵀ over tokens and the query heads of the group, [d · d]. */
  queryMoments: Float64Array;
  /** Every `SAMPLE`th query, f32 [sample][query head of the group][d]. */
  samples: Float32Array;
  /** How many queries that sum is over. */
  queries: number;
}
