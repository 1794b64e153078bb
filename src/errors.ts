/** Where in the input something was wrong. Every field is optional: an error names what it knows. */
export interface ErrorPlace {
  /** File, URL or option the bytes came from. */
  file?: string | undefined;
  /** Byte offset in that file. */
  offset?: number | undefined;
  /** Name of the tensor concerned. */
  tensor?: string | undefined;
  /** Metadata key or option concerned. */
  key?: string | undefined;
}

/** Base class of every error this package throws on purpose. `hint` says what to do about it. */
export class DeltaLLMError extends Error {
  override readonly name: string = "DeltaLLMError";
  readonly place: ErrorPlace;
  readonly hint: string | undefined;

  constructor(what: string, place: ErrorPlace = {}, hint?: string, options?: { cause?: unknown }) {
    const where = [
      place.file,
      place.offset === undefined ? undefined : `byte ${place.offset}`,
      place.tensor === undefined ? undefined : `tensor ${place.tensor}`,
      place.key,
    ].filter((part) => part !== undefined);
    super([what, where.length ? ` (${where.join(", ")})` : "", hint ? `. ${hint}` : ""].join(""), options);
    this.place = place;
    this.hint = hint;
  }
}

/** A model file is damaged, lies about its own lengths, or breaks its format. */
export class FormatError extends DeltaLLMError {
  override readonly name = "FormatError";
}

/** The file is valid, but uses a feature, type or architecture this package does not support. */
export class UnsupportedError extends DeltaLLMError {
  override readonly name = "UnsupportedError";
}

/** The input could not be read: missing file, refused request, short read. */
export class SourceError extends DeltaLLMError {
  override readonly name = "SourceError";
}

/** A download failed for reasons outside the program and its input: network, server, disk, or bytes that are not the right ones. */
export class DownloadError extends DeltaLLMError {
  override readonly name = "DownloadError";
}

/** An option or argument has a value that cannot be used. */
export class OptionError extends DeltaLLMError {
  override readonly name = "OptionError";
}

/** Text could not be turned into tokens or a chat could not be rendered. */
export class TokenizerError extends DeltaLLMError {
  override readonly name = "TokenizerError";
}

/** The model, cache or session does not fit the memory that can be had. */
export class MemoryError extends DeltaLLMError {
  override readonly name = "MemoryError";
}

/** A session or model was used after it was disposed, beyond its context length, or with foreign saved bytes. */
export class SessionError extends DeltaLLMError {
  override readonly name = "SessionError";
}

/** No WebAssembly build runs here, or its start-up test gave a wrong answer. */
export class KernelError extends DeltaLLMError {
  override readonly name = "KernelError";
}

/** A text asked to fit a schema, expression or grammar cannot go on as it should. */
export class ConstraintError extends DeltaLLMError {
  override readonly name = "ConstraintError";
}
