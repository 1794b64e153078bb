import type { ModelConfig } from "../config.js";
import { architectureOf } from "./architectures/index.js";

/** Whether the gates of such a model can make most of a layer zero, and its architecture makes use of that. */
export function leavesOut(config: ModelConfig): boolean {
  return config.activation === "relu2" && architectureOf(config).gated === true;
}
