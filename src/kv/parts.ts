import type { ModelConfig } from "../config.js";
import type { Kernels } from "../kernels/generated.js";
import type { SharedConstants } from "./grid.js";
import type { CacheKind } from "./layout.js";
import type { PagePool } from "./pages.js";
import type { CachePolicy } from "./policy.js";

/** What a cache is made of and for; forks of it share them. */
export interface CacheParts {
  pool: PagePool;
  kernels: Kernels;
  config: ModelConfig;
  kind: CacheKind;
  contextLength: number;
  /** Threads that attend. */
  threads: number;
  policy: CachePolicy;
  /** Keys a query sees in each layer, its own included; 0: all before it. */
  windows: readonly number[] | undefined;
  constants: SharedConstants;
  record: boolean;
}
