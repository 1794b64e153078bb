import type { I2SLayout } from "./model-file.js";

/** How to open a model. */
export interface OpenOptions {
  /** Stops reading; the promise then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Byte layout of I2_S tensors. Default: found from the bytes; `block128`, the official one, when they do not tell. */
  i2sLayout?: I2SLayout | undefined;
}
