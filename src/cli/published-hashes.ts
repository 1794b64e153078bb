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
export const publishedHashes: readonly PublishedHash[] = [
  {
    name: "the embedded story model",
    model: "2406e7a4320998af",
    settings: "default",
    hash: "4f4b2b57a943f1492dc475dd4d98eb10f241ef08847efbf5520f2cc018f3da74",
  },
  {
    name: "the embedded story model",
    model: "2406e7a4320998af",
    settings: "kvCache=f32",
    hash: "f961c1bd44a8d1d1e1bff8e7ceabdab1fdda9d5b3b9fdf0fc51bac8aa93b5cde",
  },
  {
    name: "SmolLM2-135M-Instruct.Q4_1.gguf",
    model: "63828c01d1875fb2",
    settings: "default",
    hash: "221a5009f1ba6ed398b6974652443dd6a347d12c802de2c19f9862f9553b7ddc",
  },
  {
    name: "SmolLM2-135M-Instruct.Q4_1.gguf",
    model: "63828c01d1875fb2",
    settings: "kvCache=f32",
    hash: "7c30356766a103584203b53f7406364ad49eabbc00dabd95e68d04798bff2df7",
  },
];
