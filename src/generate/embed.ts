import type { Pooling } from "../config.js";
import { OptionError } from "../errors.js";
import type { TokenizerData } from "../formats/model-file.js";
import type { KeyValueCache } from "../kv/cache.js";
import type { Engine } from "../model/engine.js";
import type { Slice } from "../model/slice.js";
import { yieldToEventLoop } from "../platform/yield.js";
import type { ModelTokenizer } from "../tokenizer/tokenizer.js";
import type { Embeddings, EmbedOptions, TokenIds } from "../types.js";

/** What embeddings are computed with. */
export interface EmbedHost {
  readonly engine: Engine;
  readonly tokenizer: Pick<ModelTokenizer, "encode" | "addBos">;
  readonly file: { readonly tokenizer: TokenizerData };
  /** Most tokens of a text. */
  readonly contextLength: number;
  newCache(): KeyValueCache;
}

/** A text on its way. */
interface Job {
  index: number;
  ids: number[];
  cache: KeyValueCache | undefined;
  done: number;
  /** Sum of the vectors that count, in the order of the tokens. */
  sum: Float64Array;
}

/** Does what `Model.embed` says. Passes of sessions may run in between. */
export async function embed(
  host: EmbedHost,
  texts: readonly (string | TokenIds)[],
  { pooling, normalize = true, signal, onProgress }: EmbedOptions,
): Promise<Embeddings> {
  const { engine } = host;
  const how = checkPooling(pooling) ?? engine.config.pooling ?? (engine.config.bidirectional ? "mean" : "last");
  const jobs = texts.map((text, index): Job => {
    const ids = tokensOf(host, text, index);
    return { index, ids, cache: undefined, done: 0, sum: new Float64Array(engine.config.hidden) };
  });
  const tokens = jobs.reduce((sum, { ids }) => sum + ids.length, 0);
  const embeddings = new Array<Float32Array>(texts.length);
  let waiting = jobs;
  let computed = 0;
  try {
    while (waiting.length > 0) {
      signal?.throwIfAborted();
      const pieces = nextPieces(host, waiting, how);
      const addresses = engine.forward(
        pieces.flatMap(({ job, tokens: count }) => job.ids.slice(job.done, job.done + count)),
        pieces.map(({ slice }) => slice),
        "hidden",
      );
      pieces.forEach(({ job, tokens: count, slice }, i) => {
        add(engine, job, addresses[i] as number, slice, how === "mean" ? slice.tokens : 1);
        job.done += count;
        computed += count;
        if (job.done < job.ids.length) return;
        release(engine, job);
        embeddings[job.index] = finish(engine, job, how === "mean" ? job.ids.length : 1, normalize);
      });
      waiting = waiting.filter(({ done, ids }) => done < ids.length);
      onProgress?.({ phase: "prefill", fraction: computed / tokens, bytes: 0 });
      await yieldToEventLoop();
    }
  } finally {
    for (const job of jobs) release(engine, job);
  }
  return { embeddings, tokens };
}

function tokensOf({ tokenizer, file, contextLength }: EmbedHost, text: string | TokenIds, index: number): number[] {
  const ids = Array.from(typeof text === "string" ? tokenizer.encode(text, { addBos: tokenizer.addBos }) : text);
  const { addEos, endId } = file.tokenizer;
  if (typeof text === "string" && addEos && endId !== undefined && ids.at(-1) !== endId) ids.push(endId);
  if (ids.length === 0) throw new OptionError(`Text ${index} is empty`, { key: "texts" }, "Leave it out");
  if (ids.length > contextLength)
    throw new OptionError(
      `Text ${index} has ${ids.length} tokens, the context ${contextLength}`,
      { key: "texts" },
      "Shorten it, or load the model with a longer contextLength",
    );
  return ids;
}

/** What fits one pass: the rest of texts that are begun, then further ones. Where later tokens are seen, whole texts only. */
function nextPieces(
  host: EmbedHost,
  waiting: readonly Job[],
  how: Pooling,
): { job: Job; tokens: number; slice: Slice<KeyValueCache> }[] {
  const { batch, prefillChunk, config } = host.engine;
  const pieces: ReturnType<typeof nextPieces> = [];
  let room = batch;
  for (const job of waiting) {
    const left = job.ids.length - job.done;
    const tokens = Math.min(left, prefillChunk, room);
    if (tokens === 0 || (config.bidirectional && tokens < left)) break;
    job.cache ??= host.newCache();
    const wanted = how === "mean" || (how === "cls" ? job.done === 0 : tokens === left);
    const want = !wanted ? "none" : how === "last" ? "last" : "all";
    const slice: Slice<KeyValueCache> = {
      cache: job.cache,
      position: job.done,
      tokens,
      work: "prefill",
      want,
      sees: config.bidirectional ? "all" : "causal",
    };
    pieces.push({ job, tokens, slice });
    room -= tokens;
  }
  return pieces;
}

/** Adds the first `rows` rows a piece has given to the sum of the text. */
function add({ memory, config }: Engine, job: Job, address: number, { want }: Slice<unknown>, rows: number): void {
  if (want === "none") return;
  const { hidden } = config;
  const values = memory.f32(address, rows * hidden);
  for (let row = 0; row < rows; row++)
    for (let i = 0; i < hidden; i++) (job.sum[i] as number) += values[row * hidden + i] as number;
}

function finish(engine: Engine, { sum }: Job, count: number, normalize: boolean): Float32Array {
  const vector = engine.project(Float32Array.from(sum, (value) => value / count));
  const square = vector.reduce((total, value) => total + value * value, 0);
  const length = normalize ? Math.sqrt(square) || 1 : 1;
  return vector.map((value) => value / length);
}

function release(engine: Engine, job: Job): void {
  if (!job.cache) return;
  engine.close(job.cache);
  job.cache.dispose();
  job.cache = undefined;
}

function checkPooling(pooling: Pooling | undefined): Pooling | undefined {
  if (pooling === undefined || pooling === "mean" || pooling === "cls" || pooling === "last") return pooling;
  throw new OptionError(`pooling is ${JSON.stringify(pooling)}`, { key: "pooling" }, "Use mean, cls or last");
}
