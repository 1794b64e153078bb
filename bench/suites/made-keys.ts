import { createCache } from "#src/attention/create-cache.js";
import { attentionScratchBytes } from "#src/attention/scratch.js";
import type { ModelConfig } from "#src/config.js";
import { chooseKernelBuild, type KernelFamily } from "#src/kernels/choose.js";
import type { KeyValueCache } from "#src/kv/cache.js";
import { type Calibration, encodeMatrix, encodeTriangle, SLOPES } from "#src/kv/calibration.js";
import { Memory } from "#src/memory/memory.js";
import { Team } from "#src/threads/team.js";
import { type AttendCommand, makeAttend } from "../harness/attend-command.js";
import type { Environment } from "../harness/suite.js";
import { fill, GROUP, PREFILL, storeAhead } from "./cache-rig.js";
import { normals } from "./walk.js";

/** Keys before they repeat themselves. */
const PERIOD = 4096;
/** Standard deviation of the numbers of queries: logits spread as far as those of a trained model. */
const QUERY = 3.1;

/** Standard deviation of each element of a key: the leading ones carry most, as in a score basis. */
const spreadOf = (headDim: number) =>
  Float64Array.from({ length: headDim }, (_, i) => 2.2 * Math.exp(-i / (headDim * 0.14)) + 0.12);

/** Keys, each like the one before. */
function keysOf(headDim: number): Float32Array {
  const spread = spreadOf(headDim);
  const keys = normals(PERIOD * headDim, 5);
  for (let i = headDim; i < keys.length; i++)
    keys[i] = 0.85 * (keys[i - headDim] as number) + 0.53 * (keys[i] as number);
  return keys.map((x, i) => x * (spread[i % headDim] as number));
}

/** Queries of `PREFILL` tokens; the heads of a token want much the same. */
function queriesOf(headDim: number): Float32Array {
  const common = normals(PREFILL * headDim, 77);
  return normals(PREFILL * GROUP * headDim, 78).map((own, i) => {
    const token = Math.floor(i / headDim / GROUP);
    return QUERY * (0.8 * (common[token * headDim + (i % headDim)] as number) + 0.6 * own);
  });
}

function calibrationOf(headDim: number, kvHeads: number, copies: number, margin: number): Calibration {
  const spread = spreadOf(headDim);
  const lead = Math.max(16, Math.floor(headDim / 64) * 16);
  const rest = headDim - lead;
  const steps = Array.from(spread, (s) => (3.5 * s) / 63);
  const square = (n: number, diagonal: (i: number) => number) =>
    Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) ? 0 : diagonal(i / (n + 1))));
  const head = {
    rawSteps: steps,
    scoreSteps: steps,
    basis: encodeMatrix(square(headDim, () => 1)),
    thresholds: {},
    select: {
      lead,
      mean: new Array<number>(rest).fill(0),
      covariance: encodeTriangle(square(rest, (i) => (spread[lead + i] as number) ** 2)),
      margins: SLOPES.map(() => margin),
    },
  };
  const heads = new Array(copies * kvHeads).fill(head);
  return { format: "deltallm-calibration", version: 1, model: "made", layers: copies, kvHeads, headDim, heads };
}

interface Made {
  family: KernelFamily;
  headDim: number;
  kvHeads: number;
  keys: number;
}

interface MadeOptions extends Made {
  /** Layers, each with all keys: calls take turns on them. */
  copies: number;
  /** With which margin selection completes groups; undefined: full attention. */
  margin: number | undefined;
  threads?: number;
  startAttend?: Environment["startAttend"];
}

/** Layers of attention over made keys, every KV head with the same ones, on a team of threads. */
export class MadeRig {
  readonly cache: KeyValueCache;
  readonly #team: Team;
  readonly #keys: number;

  private constructor(team: Team, cache: KeyValueCache, keys: number) {
    this.#team = team;
    this.cache = cache;
    this.#keys = keys;
  }

  static async create({ family, headDim, kvHeads, keys, copies, margin, threads = 1, startAttend }: MadeOptions) {
    const memory = new Memory({ shared: threads > 1 });
    const build = chooseKernelBuild(threads > 1, family);
    const team = await Team.create(memory, build, threads, makeAttend(), startAttend);
    const { kernels } = team;
    const config = { layers: copies, heads: GROUP * kvHeads, kvHeads, headDim } as ModelConfig;
    const contextLength = keys + PREFILL;
    const attention =
      margin === undefined
        ? {}
        : { select: 0.01, valueCutoff: 0.0005, calibration: calibrationOf(headDim, kvHeads, copies, margin) };
    const cache = createCache(memory, config, { kind: "int8", contextLength, attention, kernels });
    const scratch = memory.alloc(attentionScratchBytes(config, contextLength, threads), "scratch");
    const filled = { memory, kernels, config, cache, scratch };
    const source = repeated(keysOf(headDim), headDim, kvHeads);
    fill(filled, keys, source);
    const floats = repeated(queriesOf(headDim), GROUP * headDim, kvHeads);
    const queries = memory.alloc(floats.byteLength, "queries");
    memory.f32(queries, floats.length).set(floats);
    const out = memory.alloc(floats.byteLength, "out");
    // The new tokens of every call: stored once, and never committed.
    storeAhead(filled, keys, source.subarray(0, PREFILL * kvHeads * headDim));
    team.run({ plan: { cache: cache.descriptor, queries, out, scratch } } satisfies AttendCommand);
    return new MadeRig(team, cache, keys);
  }

  /** Attention of `tokens` queries that follow the keys, in one of the layers. */
  attend(tokens: number, layer: number): void {
    this.#team.run({ position: this.#keys, tokens, layer } satisfies AttendCommand);
  }

  dispose(): Promise<void> {
    return this.#team.dispose();
  }
}

/** Rows of `width` numbers, each as many times side by side as there are heads. */
function repeated(rows: Float32Array, width: number, heads: number): Float32Array {
  const all = new Float32Array(rows.length * heads);
  for (let at = 0; at < rows.length; at += width)
    for (let head = 0; head < heads; head++) all.set(rows.subarray(at, at + width), at * heads + head * width);
  return all;
}

/** From here on the keys only repeat themselves, and so does the share that is completed. */
const SEARCHED = 2 * PERIOD;
const margins = new Map<string, number>();

/** The margin with which a share of the groups is completed: bisected. */
export async function marginFor(made: Made & { tokens: number; share: number }): Promise<number> {
  const { tokens, share, headDim } = made;
  if (share >= 1) return 1e30;
  const keys = Math.min(made.keys, SEARCHED);
  // The same in every kernel build.
  const name = JSON.stringify([headDim, keys, tokens, share]);
  let [low, high] = [-40, 60];
  for (let i = 0; i < 12 && !margins.has(name); i++) {
    const margin = (low + high) / 2;
    const rig = await MadeRig.create({ ...made, keys, kvHeads: 1, copies: 1, margin });
    rig.attend(tokens, 0);
    if ((rig.cache.stats().selected?.completedShare ?? 1) > share) high = margin;
    else low = margin;
    await rig.dispose();
  }
  const found = margins.get(name) ?? high;
  margins.set(name, found);
  return found;
}
