import { DeltaLLMError, DownloadError } from "../errors.js";

/** Code of an error of the operating system. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === "string" ? code : undefined;
}

/** A failure of the disk, with what to do about it. */
export function diskError(error: unknown, path: string): Error {
  if (error instanceof DeltaLLMError) return error;
  const place = { file: path };
  switch (codeOf(error)) {
    case "ENOSPC":
    case "EDQUOT":
      return new DownloadError("The disk is full", place, "Make room and try again: what was downloaded is kept", {
        cause: error,
      });
    case "EFBIG":
      return new DownloadError("Files of this size are not allowed here", place, "See `ulimit -f`", { cause: error });
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new DownloadError(
        "The cache cannot be written",
        place,
        "Set HF_HUB_CACHE to a folder that can be written",
        { cause: error },
      );
    default: {
      const reason = error instanceof Error ? error.message : String(error);
      return new DownloadError(`The cache cannot be used: ${reason}`, place, undefined, { cause: error });
    }
  }
}

/** Errors of the disk in our own words. */
export async function guarded<Result>(path: string, run: () => Promise<Result>): Promise<Result> {
  try {
    return await run();
  } catch (error) {
    throw diskError(error, path);
  }
}
