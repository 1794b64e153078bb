/**
 * The only way bytes enter this package. Implementations: file, URL with Range requests, Blob, bytes in memory.
 * All pass one conformance suite.
 */
export interface ByteSource {
  /** For messages: a path, a URL, or what the bytes are. */
  readonly name: string;
  /** Length in bytes. */
  readonly size: number;
  /**
   * Reads exactly `length` bytes from `offset`.
   * @throws SourceError when the range lies outside the source, the read comes back short, or the transport fails.
   */
  read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array>;
  /** Closes handles. Reading afterwards throws SourceError. */
  close?(): Promise<void>;
}
