import type { AttentionOptions } from "../attention/options.js";
import { OptionError } from "../errors.js";
import type { Calibration } from "../kv/calibration.js";
import type { LoadOptions, Model, Progress } from "../types.js";
import { readText } from "./input.js";
import type { ModelFlags } from "./options.js";
import { ProgressBar } from "./progress.js";
import { hubOptions, pullFirst } from "./pull-first.js";
import type { Terminal } from "./terminal.js";

/** What the flags say about loading. */
export interface CommandLoadOptions extends LoadOptions {
  /** Download without a question. */
  yes?: boolean | undefined;
}

/** The load options among the flags. Reads the thresholds file. */
export async function loadOptions(terminal: Terminal, flags: ModelFlags): Promise<CommandLoadOptions> {
  return {
    yes: flags.yes,
    hub: hubOptions(flags),
    threads: flags.threads,
    kernel: flags.kernel,
    contextLength: flags.ctx,
    kvCache: flags.kvCache,
    head: flags.head,
    prefillChunk: flags.prefillChunk,
    attention: await attentionOptions(terminal, flags),
  };
}

async function attentionOptions(terminal: Terminal, flags: ModelFlags): Promise<AttentionOptions> {
  if (flags.sparsity !== undefined && flags.threshold !== undefined)
    throw new OptionError("--threshold and --sparsity exclude each other", { key: "--sparsity" }, "Give one of them");
  const options: AttentionOptions = {
    kind: flags.attention,
    grain: flags.grain,
    basis: flags.basis,
    threshold: flags.threshold,
    targetSparsity: flags.sparsity,
    windowScale: flags.windowScale,
    window: flags.window,
    windowShape: flags.windowShape,
    sink: flags.sink,
    valueCutoff: flags.valueCutoff,
    select: flags.select,
    preset: flags.preset,
  };
  if (flags.thresholds === undefined) return options;
  const text = await readText(terminal, flags.thresholds);
  try {
    return withDefaults(options, JSON.parse(text) as Calibration);
  } catch (cause) {
    throw new OptionError("This is not JSON", { file: flags.thresholds }, "Write it with `deltallm calibrate`", {
      cause,
    });
  }
}

/** Fills what the flags leave open with what the calibration file suggests. */
function withDefaults(options: AttentionOptions, calibration: Calibration): AttentionOptions {
  const { defaults } = calibration;
  const filled = { ...options, calibration };
  // Without a word about delta, selection is of full attention.
  if (options.kind === undefined && (options.select !== undefined || options.preset !== undefined)) return filled;
  if (!defaults || options.kind === "full") return filled;
  const { grain = defaults.grain, basis = defaults.basis, threshold, targetSparsity } = options;
  const sparsity = threshold === undefined ? (targetSparsity ?? defaults.sparsity) : undefined;
  return { ...filled, kind: options.kind ?? "delta", grain, basis, targetSparsity: sparsity };
}

/** Loads a model, downloaded first if need be, with a progress bar, hands it over and gives it back afterwards, whatever happens. */
export async function withModel<Result>(
  terminal: Terminal,
  source: string,
  options: CommandLoadOptions,
  use: (model: Model) => Promise<Result>,
): Promise<Result> {
  const { yes, ...rest } = options;
  const hub = await pullFirst(terminal, source, { yes, hub: options.hub, fit: options });
  const bar = new ProgressBar(terminal);
  let model: Model;
  try {
    model = await terminal.interruptible(async (signal) => {
      const onProgress = (progress: Progress) => bar.update(progress);
      const loaded = await terminal.host.loadModel(source, { ...rest, hub, signal, onProgress });
      // Ctrl-C in the last moment of loading counts, too.
      if (signal.aborted) await loaded.dispose();
      signal.throwIfAborted();
      return loaded;
    });
  } finally {
    bar.clear();
  }
  try {
    return await use(model);
  } finally {
    await model.dispose();
  }
}
