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
   * Reads exactly `length` bytes from `offset`. A source may put them at the start of `into` (at least `length` bytes)
   * and return that part of it; callers that read much save garbage by offering one.
   * @throws SourceError when the range lies outside the source, the read comes back short, or the transport fails.
   */
  read(offset: number, length: number, signal?: AbortSignal, into?: Uint8Array): Promise<Uint8Array>;
  /**
   * Whether everything read so far comes from one version of the content; called when all has been read.
   * @throws SourceError when it changed meanwhile
   */
  unchanged?(): Promise<void>;
  /** Closes handles. Reading afterwards throws SourceError. */
  close?(): Promise<void>;
}
