import type { Suite } from "../harness/suite.js";
import { attention } from "./attention.js";
import { bandwidth } from "./bandwidth.js";
import { eventLoop } from "./event-loop.js";
import { loading } from "./loading.js";
import { matmuls, ternary } from "./matmul.js";
import { wholeModels } from "./model.js";
import { attentionParts } from "./parts.js";
import { rows } from "./rows.js";
import { selection } from "./selection.js";
import { server } from "./server.js";
import { tokenizing } from "./tokenizer.js";
import { zeros } from "./zeros.js";

/** Everything that is measured, in this order. */
export const suites: readonly Suite[] = [
  ternary,
  zeros,
  matmuls,
  attentionParts,
  attention,
  selection,
  bandwidth,
  wholeModels,
  rows,
  eventLoop,
  server,
  tokenizing,
  loading,
];
