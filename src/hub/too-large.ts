import { MemoryError } from "../errors.js";
import { checkFits, type FitOptions, MEMORY_BYTES } from "../model/fits.js";
import { missingBytes, type PullPlan } from "./plan.js";
import { megabytes } from "./select.js";
import type { HubSettings } from "./settings.js";
import { streamPlan } from "./stream.js";

/** Smaller files fit for sure; of larger ones the header tells. */
const SURE_BYTES = 3 * 2 ** 30;

/**
 * Refuses a model that cannot fit before it is downloaded.
 * @throws MemoryError with the figures and what to choose; what reading the header throws
 */
export async function refuseTooLarge(
  settings: HubSettings,
  plan: PullPlan,
  options: FitOptions = {},
  signal?: AbortSignal,
): Promise<void> {
  const weights = plan.files.filter(({ path }) => /\.(?:gguf|safetensors)$/i.test(path));
  const bytes = weights.reduce((sum, { size }) => sum + size, 0);
  if (bytes <= SURE_BYTES || missingBytes(plan) === 0) return;
  // Floats are made smaller while they load; what is quantised already stays as it is.
  const shrinks = plan.container === "safetensors" || /(?:^|[-._/])(?:BF16|F16|F32)\b/i.test(plan.main);
  if (bytes > MEMORY_BYTES && !shrinks)
    throw new MemoryError(
      `This model does not fit: its weights take ${megabytes(bytes)}, and there are ${megabytes(MEMORY_BYTES)} in all`,
      { file: `${plan.repository}/${plan.main}` },
      "Choose a smaller quantisation, or a smaller model",
    );
  const file = await streamPlan(settings, plan, { signal });
  try {
    checkFits(file, options);
  } finally {
    await file.close();
  }
}
