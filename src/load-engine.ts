import type { AttentionOptions } from "./attention/options.js";
import { resolveAttention } from "./attention/resolve.js";
import { checkContext, checkLoadOptions } from "./check-options.js";
import type { ModelConfig } from "./config.js";
import { embeddedCalibration, openEmbedded } from "./embedded.js";
import { OptionError } from "./errors.js";
import { fingerprint } from "./formats/fingerprint.js";
import type { ModelFile } from "./formats/model-file.js";
import { openModel } from "./formats/open.js";
import { EngineModel } from "./generate/model.js";
import { provideKernels } from "./kernels/instantiate.js";
import { PAGE, pageBytes } from "./kv/layout.js";
import { Engine } from "./model/engine.js";
import { checkFits } from "./model/fits.js";
import { Profile } from "./model/profile.js";
import { threadsAreRisky } from "./model/start-browser-worker.js";
import { availableCores, noThreadsReason } from "./platform/platform.js";
import { createTokenizer, type ModelTokenizer } from "./tokenizer/tokenizer.js";
import type { LoadOptions, ModelSource } from "./types.js";

/** More threads than this never helped: memory is the limit by then. */
const MOST_THREADS = 16;
/** Below this a token is done in less time than threads need to meet a hundred times. */
const SMALL_MODEL_BYTES = 32 << 20;
/** Sessions longer than this must be asked for: keys and values grow with them. */
const DEFAULT_CONTEXT = 8192;
/** Tokens of one prefill step: enough to use each weight many times, few enough to stop soon. */
const DEFAULT_PREFILL_CHUNK = 64;
/** More than this is kept of ended sessions only when asked for. */
const MOST_PREFIX_BYTES = 256 << 20;

/** Sources that are worth a look at the names: a scheme, a single word without the ending of a file, `owner/name`. */
const MAY_BE_NAME =
  /^(?:[\w+.-]{2,}:|(?!.*\.(?:gguf|safetensors)$)(?:[\w.-]+\/)?[\w-][\w.-]*(?:[:@].*)?$|hf\.co\/|huggingface\.co\/)/i;

/**
 * Reads a model and makes it ready to compute in this thread.
 * @param source a name (`"hf:owner/repository:Q4_K_M"`), `"embedded"`, a path, URL, Blob, bytes or ByteSource of a GGUF
 * file or a Hugging Face folder
 * @throws DownloadError, SourceError, FormatError, UnsupportedError, OptionError, MemoryError, KernelError, or the signal's reason
 */
export async function loadEngine(source: ModelSource, options: LoadOptions = {}): Promise<EngineModel> {
  checkLoadOptions(options, await availableCores());
  const { signal, onProgress } = options;
  signal?.throwIfAborted();
  if (options.kernels) provideKernels(options.kernels);
  onProgress?.({ phase: "open", fraction: 0, bytes: 0 });
  const file = await openModelSource(source, options);
  try {
    onProgress?.({ phase: "open", fraction: 1, bytes: 0 });
    const contextLength = options.contextLength ?? defaultContext(file.config);
    checkContext(contextLength, file.config);
    // Made while the weights are read; a failure there must not leave this one unheard.
    const tokenizer = createTokenizer(file.tokenizer);
    tokenizer.catch(() => {});
    checkFits(file, options);
    const attention = await checkedAttention(options.attention ?? {}, file, source);
    resolveAttention(attention, file.config, contextLength);
    const threads = await chooseThreads(options.threads, file);
    const profile = options.profile ? new Profile() : undefined;
    const engine = await Engine.load(file, {
      threads: threads.count,
      kernel: options.kernel,
      contextLength,
      // A text whose tokens see later ones is computed in one pass.
      prefillChunk: file.config.bidirectional ? contextLength : (options.prefillChunk ?? DEFAULT_PREFILL_CHUNK),
      head: options.head,
      profile,
      signal,
      onProgress,
    });
    forgetMerges(file, await tokenizer);
    return new EngineModel(file, engine, await tokenizer, {
      kvCache: options.kvCache ?? "int8",
      attention,
      contextLength,
      prefixCacheBytes:
        options.prefixCacheBytes ??
        Math.min(
          MOST_PREFIX_BYTES,
          2 * Math.ceil(contextLength / PAGE) * pageBytes(options.kvCache ?? "int8", file.config),
        ),
      threadsReason: threads.reason,
      profile,
    });
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** With LongRoPE, sessions no longer than the original training keep the factors that are best for short texts. */
function defaultContext({ contextLength, longRope }: ModelConfig): number {
  return Math.min(contextLength, DEFAULT_CONTEXT, longRope?.originalContextLength ?? contextLength);
}

/** The 280,000 merges of a Llama-3 vocabulary say what its ids say already, and take some 10 MB. */
function forgetMerges(file: ModelFile, tokenizer: ModelTokenizer): void {
  if (tokenizer.needsMerges) return;
  file.tokenizer.merges = [];
  file.metadata.delete("tokenizer.ggml.merges");
}

/**
 * Opens a source, without reading its weights. A model that is named and not in the cache is downloaded first.
 * @param missing `stream`: such a model is read where it is instead, which suits those who want its header only
 */
export async function openModelSource(
  source: ModelSource,
  options: Pick<LoadOptions, "signal" | "i2sLayout" | "hub" | "onProgress" | "head" | "kvCache" | "contextLength"> = {},
  missing?: "stream",
): Promise<ModelFile> {
  const { signal, i2sLayout, hub, onProgress } = options;
  if (source === "embedded") return openEmbedded(signal);
  if (typeof source === "string" && source.startsWith("random:"))
    return (await import("./formats/random-model.js")).openRandomModel(source.slice(7));
  const text = typeof source === "string" ? source : source instanceof URL ? source.href : "";
  // What is no name either is refused by `openModel`.
  if (MAY_BE_NAME.test(text) && !(/^https?:/i.test(text) && !URL.canParse(text))) {
    const { openNamed } = await import("./hub/source.js");
    const named = await openNamed(text, {
      signal,
      i2sLayout,
      hub,
      missing,
      fit: options,
      onProgress: ({ bytes, totalBytes }) =>
        onProgress?.({ phase: "download", fraction: totalBytes ? bytes / totalBytes : 1, bytes, totalBytes }),
    });
    if (named) return named;
  }
  return openModel(source, { signal, i2sLayout });
}

async function chooseThreads(wanted: number | undefined, file: ModelFile): Promise<{ count: number; reason: string }> {
  const obstacle = noThreadsReason();
  if (obstacle) return { count: 1, reason: wanted && wanted > 1 ? `1 instead of ${wanted}: ${obstacle}` : obstacle };
  if (wanted) return { count: wanted, reason: "as asked" };
  const risk = threadsAreRisky();
  if (risk) return { count: 1, reason: risk };
  const bytes = file.allTensors.reduce((sum, tensor) => sum + tensor.byteLength, 0);
  if (bytes < SMALL_MODEL_BYTES) return { count: 1, reason: "a small model: threads would mostly wait for each other" };
  const cores = await availableCores();
  const count = Math.max(1, Math.min(cores, MOST_THREADS));
  return { count, reason: count < cores ? `${cores} cores, more than ${count} threads do not help` : `${cores} cores` };
}

/**
 * A calibration must come from the same weights; the embedded model brings its own.
 * @throws OptionError for the calibration of another model
 */
async function checkedAttention(
  attention: AttentionOptions,
  file: ModelFile,
  source: ModelSource,
): Promise<AttentionOptions> {
  const { calibration, kind, basis, select, preset } = attention;
  if (!calibration) {
    const needed = kind === "delta" || basis !== undefined || select !== undefined || preset !== undefined;
    if (source !== "embedded" || !needed) return attention;
    return { ...attention, calibration: await embeddedCalibration() };
  }
  const id = await fingerprint(file);
  if (calibration.model !== id)
    throw new OptionError(
      `This calibration was made for model ${calibration.model}, not for ${id}`,
      { file: file.name, key: "attention.calibration" },
      "Calibrate this model with `deltallm calibrate`",
    );
  return attention;
}
