/** Which tokens fit a node whatever comes after it. */
export interface Profile {
  /** Tokens that do not leave it. */
  readonly inside: Uint32Array;
  /**
   * Places in the trie where the node may be left while some token goes on, with `byte`, or with any byte when that is
   * negative.
   */
  exits(byte: number): Int32Array;
}
