import { lstat, open, realpath, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { SourceError } from "../errors.js";

/** A file that is being written. */
export interface OutputFile {
  /** Appends bytes, all of them. */
  write(bytes: Uint8Array): Promise<void>;
  /** What was written takes the place of what was there. */
  commit(): Promise<void>;
  /** Leaves what was there as it was. */
  discard(): Promise<void>;
}

/**
 * Opens a file to write. A regular file is written beside its place and renamed at the end, so that a full disk or Ctrl-C
 * leaves the old one whole; through a symbolic link, whose target is replaced. Devices and pipes are written to.
 * @throws SourceError saying what is wrong with the place
 */
export async function outputFile(path: string): Promise<OutputFile> {
  const failed = (cause: unknown): never => {
    throw new SourceError(`The file cannot be written: ${reason(cause)}`, { file: path }, hint(cause), { cause });
  };
  const target = await realpath(path).catch(async (cause) => {
    // A link to nothing is not a place to write to; no file at all is.
    if (await lstat(path).then(Boolean, () => false)) return failed(cause);
    return path;
  });
  const found = await stat(target).catch(() => undefined);
  if (found?.isDirectory()) throw new SourceError("This is a folder", { file: path }, "Name a file in it");
  if (
    !(await stat(dirname(target)).then(
      (folder) => folder.isDirectory(),
      () => false,
    ))
  )
    throw new SourceError("There is no such folder", { file: dirname(target) }, "Make it first");
  const direct = found !== undefined && !found.isFile();
  const temporary = direct ? target : `${target}.${process.pid}.part`;
  const handle = await open(temporary, direct ? "r+" : "wx", found?.isFile() ? found.mode : 0o666)
    .catch((cause) => (direct ? open(temporary, "w") : Promise.reject(cause)))
    .catch(failed);
  return {
    async write(bytes) {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await handle.write(bytes, done).catch(failed);
        if (bytesWritten === 0) failed(new Error("nothing more was taken"));
        done += bytesWritten;
      }
    },
    async commit() {
      try {
        // A full disk may show only now; devices know no such thing.
        if (!direct) await handle.sync();
        await handle.close();
        if (!direct) await rename(temporary, target);
      } catch (cause) {
        failed(cause);
      }
    },
    async discard() {
      await handle.close().catch(() => undefined);
      if (!direct) await rm(temporary, { force: true }).catch(() => undefined);
    },
  };
}

/** Writes a whole file that way. */
export async function writeOutput(path: string, text: string): Promise<void> {
  const file = await outputFile(path);
  try {
    await file.write(new TextEncoder().encode(text));
    await file.commit();
  } catch (error) {
    await file.discard();
    throw error;
  }
}

function reason(cause: unknown): string {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT") return "the disk is full";
  if (code === "EACCES" || code === "EPERM") return "it may not be written";
  if (code === "EROFS") return "the disk is read-only";
  return cause instanceof Error ? cause.message : String(cause);
}

function hint(cause: unknown): string | undefined {
  const { code } = cause as NodeJS.ErrnoException;
  return code === "ENOSPC" || code === "EDQUOT"
    ? "Make room, or write elsewhere; what was there is unchanged"
    : undefined;
}
