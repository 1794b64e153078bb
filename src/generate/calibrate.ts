import { createCache } from "../attention/create-cache.js";
import { calibrate } from "../calibration/calibrate.js";
import { readRecording } from "../calibration/record.js";
import { OptionError } from "../errors.js";
import { fingerprint } from "../formats/fingerprint.js";
import type { ModelFile } from "../formats/model-file.js";
import type { Calibration } from "../kv/calibration.js";
import type { CalibrateOptions, TokenIds } from "../types.js";
import { EngineSession, type SessionHost } from "./session.js";

/** Fewer tokens than this say too little about a head of 64 or 128 elements. */
const LEAST_TOKENS = 256;
/** Time grows with its square. Selection completes twice as many keys at positions that no window reached. */
const LONGEST_WINDOW = 8192;

/**
 * Finds the grids, thresholds and score basis of delta attention from a text: full attention with f32 keys over windows
 * of it, then measurement of what was recorded.
 * @throws OptionError when the text is too short
 */
export async function calibrateModel(
  host: SessionHost,
  file: ModelFile,
  ids: TokenIds,
  options: CalibrateOptions = {},
): Promise<Calibration> {
  const { engine } = host;
  const { config, memory } = engine;
  const size = Math.min(options.windowTokens ?? LONGEST_WINDOW, host.contextLength, ids.length);
  const windows = Math.max(
    1,
    Math.min(options.windows ?? (size > LONGEST_WINDOW / 2 ? 1 : 2), Math.floor(ids.length / size)),
  );
  if (size < LEAST_TOKENS)
    throw new OptionError(`The calibration text has ${ids.length} tokens`, {}, `Give at least ${LEAST_TOKENS}`);
  const recordings: ReturnType<typeof readRecording>[] = [];
  for (let window = 0; window < windows; window++) {
    const cache = createCache(memory, config, {
      kind: "f32",
      contextLength: size,
      attention: {},
      threads: engine.threads,
      record: true,
      kernels: engine.kernels,
    });
    const session = new EngineSession(host, cache);
    try {
      await session.advance(
        Array.from(ids).slice(window * size, (window + 1) * size),
        {
          signal: options.signal,
          onProgress: ({ fraction }) => options.onProgress?.(((window + fraction) / windows) * 0.3),
        },
        () => undefined,
      );
      recordings.push(readRecording(cache, memory));
    } finally {
      await session.dispose();
    }
  }
  return calibrate(recordings, config, {
    model: await fingerprint(file),
    rope: (layer) => engine.ropeRows(layer),
    score: options.basis !== "raw",
    engine: { memory, kernels: engine.kernels },
    onProgress: (fraction) => {
      options.signal?.throwIfAborted();
      options.onProgress?.(0.3 + fraction * 0.7);
    },
  });
}
