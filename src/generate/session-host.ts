import type { SuggestedSampling } from "../formats/suggested-sampling.js";
import type { KeyValueCache } from "../kv/cache.js";
import type { PrefixIndex } from "../kv/prefix-index.js";
import type { Engine } from "../model/engine.js";
import type { GenerateOptions } from "../types/generate-options.js";
import type { Piece, PieceReader } from "../types/results.js";
import type { TokenIds } from "../types.js";
import type { AttentionMeter } from "./attention-meter.js";
import type { Scheduler } from "./scheduler.js";
import type { PassTimes } from "./speculation.js";

/** What the sessions of one model share. */
export interface HostOf<Session> {
  readonly engine: Engine;
  readonly scheduler: Scheduler;
  readonly attentionMeter: AttentionMeter;
  readonly open: Set<Session>;
  /** Pages of all sessions by their tokens. */
  readonly prefixes: PrefixIndex;
  /** Tokens taken from there instead of computing them. */
  cachedTokens: number;
  /** Most tokens of a session. */
  readonly contextLength: number;
  /** Tokens of the session that computed last. */
  lastLength: number;
  /** How long passes take, for speculation; undefined where nothing may be taken back. */
  readonly speculation: PassTimes | undefined;
  /** Defaults of sampling that the model's file suggests. */
  readonly sampling: SuggestedSampling | undefined;
  newCache(): KeyValueCache;
  /** Tells the weights apart from those of other models, see `fingerprint`. */
  modelId(): Promise<string>;
  /** What `Session.generate` does. */
  generateIn(
    session: Session,
    prompt: string | TokenIds,
    options: GenerateOptions,
    reader?: PieceReader,
  ): AsyncIterable<Piece>;
}
