import { OptionError } from "../../errors.js";
import { removeCached } from "../../hub/contents.js";
import { showName } from "../../hub/names.js";
import { hubSettings } from "../../hub/settings.js";
import { nameOf, openCache } from "../../hub/source.js";
import { formatBytes, printable } from "../format.js";
import type { Terminal } from "../terminal.js";

export interface RemoveFlags {
  json?: boolean;
}

/** `remove NAME`: exactly what the name says. */
export async function removeModel(terminal: Terminal, text: string, flags: RemoveFlags): Promise<void> {
  const settings = await hubSettings({ offline: true }, terminal.host.env);
  const name = await nameOf(text, settings);
  const cache = await openCache(settings);
  if (!name || !cache)
    throw new OptionError(
      `${JSON.stringify(text)} is not the name of a model`,
      {},
      "`deltallm list` shows what there is",
    );
  const removed = await removeCached(cache, name);
  if (flags.json) return terminal.json(removed);
  const what = removed.files.length === 1 ? removed.files[0] : `${removed.files.length} files`;
  await terminal.line(printable(`Removed ${what} of ${showName({ ...name })}, ${formatBytes(removed.bytes)}.`));
}
