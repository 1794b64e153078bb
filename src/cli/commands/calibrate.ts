import { OptionError } from "../../errors.js";
import type { CalibrationDefaults } from "../../kv/calibration.js";
import { formatBytes, formatTable } from "../format.js";
import { readText } from "../input.js";
import { loadOptions, withModel } from "../model.js";
import type { ModelFlags } from "../options.js";
import { writeOutput } from "../output-file.js";
import { ProgressBar } from "../progress.js";
import type { Terminal } from "../terminal.js";

export interface CalibrateFlags extends ModelFlags {
  file: string;
  out: string;
  windows?: number;
  windowTokens?: number;
}

/**
 * `calibrate`: finds thresholds (and the score basis) of delta attention from a text and writes one JSON file, bound to
 * the model. It holds thresholds for every sparsity; the one asked for, grain and basis are kept as its defaults.
 */
export async function calibrate(terminal: Terminal, flags: CalibrateFlags): Promise<void> {
  const { bytes, model, defaults } = await writeCalibration(terminal, flags);
  const { sparsity, grain, basis } = defaults;
  if (flags.json) return terminal.json({ out: flags.out, bytes, model, ...defaults });
  await terminal.line(
    formatTable([
      ["written", `${flags.out} (${formatBytes(bytes)})`],
      ["model", model],
      ["defaults", `${grain} grain, ${basis} basis, sparsity ${sparsity}`],
    ]),
  );
}

/** Calibrates and writes the file; prints nothing. */
export async function writeCalibration(
  terminal: Terminal,
  flags: CalibrateFlags,
): Promise<{ bytes: number; model: string; defaults: CalibrationDefaults }> {
  const { sparsity = 0.6, grain = "element", basis = "score" } = flags;
  if (!(sparsity >= 0 && sparsity < 1))
    throw new OptionError(`The sparsity is ${sparsity}`, { key: "--sparsity" }, "Give a fraction from 0 to below 1");
  const text = await readText(terminal, flags.file);
  // Keys are recorded as they are: no delta, no rounding, whatever is asked for later.
  const plain = { ...flags, attention: undefined, thresholds: undefined, sparsity: undefined, basis: undefined };
  const options = await loadOptions(terminal, plain);
  return withModel(terminal, flags.model, options, async (model) => {
    const bar = new ProgressBar(terminal);
    const calibration = await terminal.interruptible((signal) =>
      model.calibrate(text, {
        windows: flags.windows,
        windowTokens: flags.windowTokens ?? flags.ctx,
        basis,
        signal,
        onProgress: (fraction) => bar.update({ phase: "prepare", fraction, bytes: 0 }),
      }),
    );
    bar.clear();
    const defaults: CalibrationDefaults = { sparsity, grain, basis };
    const json = `${JSON.stringify({ ...calibration, defaults })}\n`;
    await writeOutput(flags.out, json);
    return { bytes: json.length, model: calibration.model, defaults };
  });
}
