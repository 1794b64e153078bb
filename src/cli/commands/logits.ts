import { OptionError } from "../../errors.js";
import { loadOptions, withModel } from "../model.js";
import type { ModelFlags } from "../options.js";
import { outputFile } from "../output-file.js";
import { ProgressBar } from "../progress.js";
import type { Terminal } from "../terminal.js";

/** Rows held at once: logits of a long text with a large vocabulary do not fit memory. */
const ROWS = 32;

/** `logits`: little-endian f32 `[n, vocab]` of all positions into a file, or to stdout with `--out -`. */
export async function logits(
  terminal: Terminal,
  flags: ModelFlags & { ids: readonly number[]; out: string },
): Promise<void> {
  const { ids } = flags;
  const toStdout = flags.out === "-";
  if (toStdout && flags.json) throw new OptionError("--json and --out - both write to stdout", { key: "--out" });
  const options = await loadOptions(terminal, { ...flags, ctx: flags.ctx ?? Math.max(ids.length, 1) });
  await withModel(terminal, flags.model, options, async (model) => {
    const { vocab } = model.config;
    const wrong = ids.find((id) => id >= vocab);
    if (wrong !== undefined)
      throw new OptionError(
        `${wrong} is not a token id of this model`,
        { key: "--ids" },
        `Ids go from 0 to ${vocab - 1}`,
      );
    const file = toStdout ? undefined : await outputFile(flags.out);
    const bar = new ProgressBar(terminal);
    const session = model.createSession();
    try {
      await terminal.interruptible(async (signal) => {
        for (let done = 0; done < ids.length; done += ROWS) {
          const rows = await session.prefill(ids.slice(done, done + ROWS), { allLogits: true, signal });
          const bytes = littleEndian(rows);
          if (file) await file.write(bytes);
          else await terminal.write(bytes);
          bar.update({ phase: "prefill", fraction: Math.min(1, (done + ROWS) / ids.length), bytes: 0 });
        }
      });
      await file?.commit();
    } catch (error) {
      await file?.discard();
      throw error;
    } finally {
      bar.clear();
      await session.dispose();
    }
    if (flags.json) await terminal.json({ tokens: ids.length, vocab, out: flags.out });
    else if (!toStdout) await terminal.line(`${flags.out}: f32 [${ids.length}, ${vocab}], little-endian`);
  });
}

function littleEndian(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  if (new Uint8Array(Uint16Array.of(1).buffer)[0] === 1) return bytes;
  const view = new DataView(new ArrayBuffer(values.byteLength));
  values.forEach((value, i) => {
    view.setFloat32(i * 4, value, true);
  });
  return new Uint8Array(view.buffer);
}
