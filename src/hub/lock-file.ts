import { nodeModules } from "../platform/node-modules.js";
import { pause } from "../platform/waiting.js";
import { codeOf, diskError } from "./disk-errors.js";

/** How often a holder says that it lives. */
const HEARTBEAT_MS = 2000;
/** A holder silent for this long has died, wherever it ran. */
const STALE_MS = 15_000;
/** How often those that wait look. */
const LOOK_MS = 200;

interface Holder {
  id: string;
  pid: number;
  host: string;
}

/**
 * A lock that is a file, for processes of this and of other machines. A holder that was killed does not keep it: its
 * process is gone, or its heartbeat (the file's time) has stopped.
 * @throws DownloadError when the file cannot be made, or the signal's reason
 * @returns gives the lock back
 */
export async function lockFile(
  path: string,
  options: { signal?: AbortSignal | undefined; onWait?: (() => void) | undefined },
): Promise<() => Promise<void>> {
  const fs = await nodeModules.fs();
  const os = await nodeModules.os();
  const own: Holder = { id: crypto.randomUUID(), pid: globalThis.process?.pid ?? 0, host: os.hostname() };
  const text = JSON.stringify(own);
  let waited = false;
  await fs.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true }).catch((error) => {
    throw diskError(error, path);
  });
  for (;;) {
    options.signal?.throwIfAborted();
    if (await take()) break;
    if (await breakStale()) continue;
    if (!waited) options.onWait?.();
    waited = true;
    await pause(LOOK_MS, options.signal);
  }
  const timer = setInterval(() => {
    const now = new Date();
    fs.utimes(path, now, now).catch(() => {});
  }, HEARTBEAT_MS);
  (timer as { unref?: () => void }).unref?.();
  return async () => {
    clearInterval(timer);
    if ((await holder(path))?.id === own.id) await fs.rm(path, { force: true }).catch(() => {});
  };

  /** Written under another name first, so that nobody ever sees a lock without its holder. */
  async function take(): Promise<boolean> {
    const fresh = `${path}.${own.id}`;
    try {
      await fs.writeFile(fresh, text);
      await fs.link(fresh, path);
      return true;
    } catch (error) {
      const code = codeOf(error);
      if (code === "EEXIST") return false;
      if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"].includes(code ?? "")) throw diskError(error, path);
      // No hard links here.
      return fs.writeFile(path, text, { flag: "wx" }).then(
        () => true,
        (second) => {
          if (codeOf(second) === "EEXIST") return false;
          throw diskError(second, path);
        },
      );
    } finally {
      await fs.rm(fresh, { force: true }).catch(() => {});
    }
  }

  async function holder(file: string): Promise<Holder | undefined> {
    try {
      return JSON.parse(await fs.readFile(file, "utf8")) as Holder;
    } catch {
      return undefined;
    }
  }

  /** Takes a dead holder's file away; whether there was one. */
  async function breakStale(): Promise<boolean> {
    const stat = await fs.stat(path).catch(() => undefined);
    if (!stat) return true;
    const other = await holder(path);
    const silent = Date.now() - stat.mtimeMs > STALE_MS;
    if (!silent && !(other && other.host === own.host && !alive(other.pid))) return false;
    // Moved, not removed: of several that found it stale only one gets it, and a fresh lock moved by mistake is put back.
    const aside = `${path}.${own.id}.stale`;
    try {
      await fs.rename(path, aside);
    } catch {
      return true;
    }
    const moved = await holder(aside);
    if (moved?.id !== other?.id) await fs.link(aside, path).catch(() => {});
    await fs.rm(aside, { force: true }).catch(() => {});
    return true;
  }
}

/** Whether a process of this machine lives; one that may not be asked does. */
function alive(pid: number): boolean {
  try {
    globalThis.process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) !== "ESRCH";
  }
}
