import type { ModelConfig } from "../model/config.js";
import type { Kernels } from "../runtime/kernels.js";
import type { BlockPool } from "./blocks.js";
import type { SharedConstants } from "./constants.js";
import type { CacheKind } from "./layout.js";
import type { AttentionPolicy } from "./policy.js";

/** What a cache is made of and for; forks of it share them. */
export interface CacheParts {
  pool: BlockPool;
  kernels: Kernels;
  config: ModelConfig;
  kind: CacheKind;
  contextLength: number;
  policy: AttentionPolicy;
  constants: SharedConstants;
  record: boolean;
}
