import { SourceError } from "../../errors.js";

/**
 * The check every source makes before it reads or allocates anything.
 * @throws SourceError when `[offset, offset + length)` is not inside a source of `size` bytes.
 */
export function checkRange(name: string, size: number, offset: number, length: number): void {
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!whole || offset + length > size) {
    throw new SourceError(`Cannot read ${length} bytes from ${offset}: the source has ${size} bytes`, {
      file: name,
      offset: whole ? offset : undefined,
    });
  }
}

/** Error of a read that came after `close()`. */
export function closedError(name: string): SourceError {
  return new SourceError("The source was closed and can no longer be read", { file: name });
}
