/** A hash of logits that was published for a model; see `deltallm verify`. */
export interface PublishedHash {
  /** For people. */
  name: string;
  /** Fingerprint of the model's file, as `verify` prints it. */
  model: string;
  /** The options that change bits, as `verify` prints them. */
  settings: string;
  hash: string;
}

/** The same on every machine, engine, kernel build and number of threads. */
export const publishedHashes: readonly PublishedHash[] = [];
