import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { OptionError, SourceError } from "../../errors.js";
import type { Host } from "../host.js";

const ENTRIES = 1000;
const ENDING = ".chat";

/** The user's folder for what programs remember: XDG_STATE_HOME or ~/.local/state, on Windows LOCALAPPDATA. */
export function stateFolder(env: Host["env"]): string | undefined {
  const home = env.HOME ?? env.USERPROFILE;
  const base = env.XDG_STATE_HOME || env.LOCALAPPDATA || (home ? join(home, ".local", "state") : undefined);
  return base ? join(base, "deltallm") : undefined;
}

/** Messages sent in earlier runs, the oldest first; none where nothing can be read. */
export async function readHistory(file: string | undefined): Promise<string[]> {
  if (file === undefined) return [];
  const text = await readFile(file, "utf8").catch(() => "");
  const entries: string[] = [];
  for (const line of text.split("\n")) {
    try {
      const entry: unknown = JSON.parse(line);
      if (typeof entry === "string") entries.push(entry);
    } catch {
      // A damaged line is left out.
    }
  }
  return entries.slice(-ENTRIES);
}

/** Adds a message to the file, with those other runs added meanwhile. */
export async function addHistory(file: string, entry: string): Promise<void> {
  const entries = await readHistory(file);
  if (entries.at(-1) === entry) return;
  const lines = [...entries, entry].slice(-ENTRIES).map((each) => `${JSON.stringify(each)}\n`);
  await replaceFile(file, lines.join(""));
}

/** Where the chat of that name is kept. @throws OptionError for a name that is none */
export function chatFile(env: Host["env"], name: string): string {
  if (!/^[\p{L}\p{N}_][\p{L}\p{N}\p{M}_. -]{0,79}$/u.test(name))
    throw new OptionError(`"${name}" cannot be the name of a chat`, {}, "Use letters, digits, - and _");
  const folder = stateFolder(env);
  if (!folder) throw new OptionError("There is no folder to keep chats in", {}, "Set HOME or XDG_STATE_HOME");
  return join(folder, "chats", name + ENDING);
}

/** Names of the chats kept. */
export async function chatNames(env: Host["env"]): Promise<string[]> {
  const folder = stateFolder(env);
  const files = folder ? await readdir(join(folder, "chats")).catch(() => []) : [];
  return files.filter((file) => file.endsWith(ENDING)).map((file) => file.slice(0, -ENDING.length));
}

/** @throws SourceError naming the chats there are */
export async function readChatFile(env: Host["env"], name: string): Promise<Uint8Array> {
  const file = chatFile(env, name);
  return readFile(file).catch(async (cause) => {
    const names = await chatNames(env);
    throw new SourceError(
      `There is no chat "${name}"`,
      { file },
      names.length > 0 ? `There are: ${names.sort().join(", ")}` : "Keep one with /save NAME",
      { cause },
    );
  });
}

/** Writes beside the place and renames, so that the old file stays whole; only the user may read it. */
export async function replaceFile(file: string, data: string | Uint8Array): Promise<void> {
  const temporary = `${file}.${process.pid}.part`;
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(temporary, data, { mode: 0o600 });
    await rename(temporary, file);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw new SourceError("The file cannot be written", { file }, cause instanceof Error ? cause.message : undefined, {
      cause,
    });
  }
}
