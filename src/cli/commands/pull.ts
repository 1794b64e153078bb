import { OptionError } from "../../errors.js";
import { findCached, planPull } from "../../hub/plan.js";
import { hubSettings } from "../../hub/settings.js";
import { nameOf, openCache } from "../../hub/source.js";
import { refuseTooLarge } from "../../hub/too-large.js";
import { formatBytes, printable } from "../format.js";
import { hubOptions, pullWithBar } from "../pull-first.js";
import type { Terminal } from "../terminal.js";

export interface PullFlags {
  offline?: boolean;
  yes?: boolean;
  json?: boolean;
}

/** `pull NAME`: brings a model into the cache, or up to date; checks what is there against the hub's hashes. */
export async function pullModel(terminal: Terminal, text: string, flags: PullFlags): Promise<void> {
  const settings = await hubSettings(hubOptions(flags), terminal.host.env);
  const name = await nameOf(text, settings);
  const cache = await openCache(settings);
  if (!name || !cache)
    throw new OptionError(
      `${JSON.stringify(text)} is not the name of a model`,
      {},
      "Write hf:owner/repository[:quant or /file][@revision], a URL, or one of the names of `deltallm list --names`",
    );
  const { plan, files } = await terminal.interruptible(async (signal) => {
    const cached = settings.offline ? await findCached(settings, cache, name, signal) : undefined;
    const plan = cached ?? (await planPull(settings, cache, name, signal));
    await refuseTooLarge(settings, plan, {}, signal);
    return { plan, files: await pullWithBar(terminal, settings, cache, plan, signal, true) };
  });
  const { repository, revision, commit, kind } = plan;
  if (flags.json) {
    await terminal.json({
      repository,
      ...(kind === "url" ? { url: repository } : { revision, commit }),
      files,
    });
    return;
  }
  await terminal.line(printable(commit === undefined ? repository : `${repository} at ${commit}`));
  for (const file of files) {
    const news = file.fetchedBytes
      ? `${formatBytes(file.fetchedBytes)} downloaded${file.resumedBytes ? `, ${formatBytes(file.resumedBytes)} were there` : ""}`
      : "was there";
    await terminal.line(printable(`  ${file.file}  ${formatBytes(file.size)}, ${news}`));
    await terminal.line(printable(`    sha256 ${file.sha256 ?? "unknown"}`));
    await terminal.line(printable(`    ${file.path}`));
  }
}
