import { OptionError } from "../../errors.js";
import { catalogue } from "../../hub/catalogue.js";
import { listCached } from "../../hub/contents.js";
import { hubSettings } from "../../hub/settings.js";
import { nameOf, openCache } from "../../hub/source.js";
import { formatBytes, formatTable, printable } from "../format.js";
import type { Terminal } from "../terminal.js";

export interface ListFlags {
  names?: boolean;
  json?: boolean;
}

/** `list`: what the cache has, file by file. */
export async function listModels(terminal: Terminal, text: string | undefined, flags: ListFlags): Promise<void> {
  if (flags.names) return listNames(terminal, flags);
  const settings = await hubSettings({}, terminal.host.env);
  const cache = await openCache(settings);
  const name = text === undefined ? undefined : await nameOf(text, settings);
  if (text !== undefined && !name)
    throw new OptionError(
      `${JSON.stringify(text)} is not the name of a model`,
      {},
      "Write hf:owner/repository, or a URL",
    );
  const files = cache ? await listCached(cache, name) : [];
  if (flags.json) return terminal.json(files);
  if (files.length === 0) return terminal.line(`Nothing in ${cache?.name ?? "the cache"}.`);
  await terminal.line(
    formatTable(
      files.map((file) => [
        printable(file.repository),
        printable(file.file),
        file.partial
          ? `${formatBytes(file.size)}${file.totalSize ? ` of ${formatBytes(file.totalSize)}` : ""}`
          : formatBytes(file.size),
        file.partial ? "partial" : printable(file.revisions.join(", ") || (file.commit ?? "").slice(0, 12)),
      ]),
      [2],
    ),
  );
}

async function listNames(terminal: Terminal, flags: ListFlags): Promise<void> {
  const names = Object.entries(catalogue).map(([name, entry]) => ({ name, ...entry }));
  if (flags.json) return terminal.json(names);
  await terminal.line(
    formatTable(names.map(({ name, repository, size, licence }) => [name, repository, size, licence])),
  );
}
