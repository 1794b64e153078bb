import type { AttentionOptions } from "../attention/options.js";
import type { LoadOptions } from "../types.js";
import { sha256 } from "./eval-data.js";

/** The load options that change numbers, with defaults filled in where they are fixed. Threads and kernels never do. */
export async function settingsOf(options: LoadOptions, contextLength: number): Promise<Record<string, unknown>> {
  return {
    kvCache: options.kvCache ?? "int8",
    head: options.head ?? "as in the file",
    contextLength,
    attention: await attentionSettings(options.attention ?? {}),
  };
}

async function attentionSettings(options: AttentionOptions): Promise<Record<string, unknown>> {
  const { kind = "full", basis, valueCutoff, calibration, ...delta } = options;
  const json = calibration && new TextEncoder().encode(JSON.stringify(calibration));
  const settings = {
    kind,
    basis: basis ?? "raw",
    valueCutoff: valueCutoff ?? 0,
    select: options.select,
    preset: options.preset,
    calibration: json && (await sha256(json)).slice(0, 16),
    ...(kind === "delta" && { ...delta, grain: delta.grain ?? "element" }),
  };
  return Object.fromEntries(
    Object.entries(settings)
      .filter(([, value]) => value !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}
