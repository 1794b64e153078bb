import { attentionScratchBytes } from "../attention/scratch.js";
import { type ModelConfig, ropeDimOf, turns, windowOf } from "../config.js";
import type { ModelFile } from "../formats/model-file.js";
import { chooseKernelBuild, type KernelFamily } from "../kernels/choose.js";
import type { Kernels } from "../kernels/generated.js";
import type { KeyValueCache } from "../kv/cache.js";
import { activationBytes } from "../matmul/activations.js";
import { layouts } from "../matmul/layouts/index.js";
import { Memory } from "../memory/memory.js";
import { Team } from "../threads/team.js";
import { type Command, makeExecute, type Output } from "./execute.js";
import { arrangingBytes, FIRST_LOOK, type Room, sparseLayers } from "./feed-forward.js";
import { clearFfnCounters, ffnCounterBytes, readFfnCounters } from "./ffn-counters.js";
import type { FfnLayersStats } from "./ffn-stats.js";
import { headRanges } from "./head.js";
import { leavesOut } from "./leaves-out.js";
import { type HeadPrecision, loadWeights } from "./load-weights.js";
import { OpenCaches } from "./open-caches.js";
import { type Buffers, type LayerWeights, layersInOrder, type ModelPlan } from "./plan.js";
import type { Profile } from "./profile.js";
import { Projection } from "./projection.js";
import { makeRopeTables, type RopeRows } from "./rope-tables.js";
import { type HeadRanges, renamed, type Slice, wantedOf } from "./slice.js";
import { startWorker } from "./start-worker.js";

export interface EngineOptions {
  threads: number;
  kernel?: KernelFamily | undefined;
  /** Most tokens of a session. */
  contextLength: number;
  /** Most tokens of one sequence in a forward pass. */
  prefillChunk: number;
  head?: HeadPrecision | undefined;
  /** Where the first thread books the time of each operation. */
  profile?: Profile | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: { phase: "weights" | "prepare"; fraction: number; bytes: number }) => void) | undefined;
}

/** Rows there is room for in every pass, so that sequences that decode find room together. */
const LEAST_ROWS = 16;

/** A model in memory and the threads that run it. One forward pass at a time; it blocks the calling thread. */
export class Engine {
  readonly config: ModelConfig;
  readonly memory: Memory;
  readonly family: KernelFamily;
  readonly weightBytes: number;
  /** Most rows of a forward pass. */
  readonly batch: number;
  /** Most rows of one sequence in a forward pass. */
  readonly prefillChunk: number;
  readonly #team: Team;
  readonly #plan: ModelPlan;
  readonly #caches = new OpenCaches();
  readonly #contextLength: number;
  #projection: Projection | undefined;
  #gatesSeen = 0;
  #nextLook = FIRST_LOOK;
  /** Logits of passes that want more than one row. */
  #manyLogits = { address: 0, rows: 0 };

  private constructor(
    memory: Memory,
    family: KernelFamily,
    team: Team,
    plan: ModelPlan,
    weightBytes: number,
    limits: { contextLength: number; prefillChunk: number },
  ) {
    this.#contextLength = limits.contextLength;
    this.prefillChunk = limits.prefillChunk;
    this.config = plan.config;
    this.memory = memory;
    this.family = family;
    this.weightBytes = weightBytes;
    this.batch = plan.batch;
    this.#team = team;
    this.#plan = plan;
  }

  /** Reads the weights of `file` and starts the threads. */
  static async load(file: ModelFile, options: EngineOptions): Promise<Engine> {
    const shared = options.threads > 1;
    const build = chooseKernelBuild(shared, options.kernel);
    const memory = new Memory({ shared });
    const team = await Team.create(memory, build, options.threads, makeExecute(options.profile), startWorker);
    try {
      const { config } = file;
      const weights = await loadWeights(team.kernels, memory, file, {
        head: options.head,
        // The fastest ternary kernels without relaxed dots.
        lut: build.startsWith("simd"),
        signal: options.signal,
        onBytes: (bytes, total) => options.onProgress?.({ phase: "weights", fraction: bytes / total, bytes }),
      });
      options.onProgress?.({ phase: "prepare", fraction: 0, bytes: 0 });
      const rope = makeRopeTables(team.kernels, memory, config, options.contextLength, weights.ropeFactors);
      const prefillChunk = Math.max(1, Math.min(options.prefillChunk, options.contextLength));
      const batch = Math.max(prefillChunk, LEAST_ROWS);
      const { embedding, outputNorm, head } = weights;
      const layers = layersInOrder(weights.layers);
      const buffers = allocateBuffers(team.kernels, memory, config, batch, options.threads, options.contextLength);
      const plan: ModelPlan = { config, embedding, layers, outputNorm, head, rope, buffers, batch };
      const family = build.startsWith("relaxed") ? "relaxed" : "simd";
      const engine = new Engine(memory, family, team, plan, weights.bytes, {
        contextLength: options.contextLength,
        prefillChunk,
      });
      engine.#run({ do: "plan", plan });
      if (weights.dense.length > 0) engine.#projection = new Projection(team.kernels, memory, weights.dense);
      options.onProgress?.({ phase: "prepare", fraction: 1, bytes: 0 });
      return engine;
    } catch (error) {
      await team.dispose();
      throw error;
    }
  }

  get kernels(): Kernels {
    return this.#team.kernels;
  }

  get threads(): number {
    return this.#team.threads;
  }

  /** A copy of the cosines and sines by which a layer turns keys, for every position; of one row where it turns none. */
  ropeRows(layer: number): RopeRows {
    const { config, rope } = this.#plan;
    const turned = ropeDimOf(config);
    if (!turns(config, layer))
      return { table: Float32Array.from({ length: turned }, (_, i) => (i < turned / 2 ? 1 : 0)), turned };
    const address = windowOf(config, layer) === undefined ? rope.table : rope.windowTable;
    const magnitude = config.longRope?.magnitude ?? 1;
    return { table: this.memory.f32(address, this.#contextLength * turned).map((x) => x / magnitude), turned };
  }

  /**
   * Appends each slice's tokens to its cache, all in one pass of at most `batch` rows. What becomes of a sequence does
   * not depend on the others.
   * @param ids of all slices, one after another
   * @param output what is wanted of the rows: logits, or the residual stream after the last norm
   * @returns for each slice the address of what it wants, `[vocab]` or `[tokens, vocab]` of logits, `hidden` instead of
   * `vocab` of the other, valid until the next forward pass; 0 where it wants none
   * @throws SessionError, MemoryError with nothing computed; KernelError
   */
  forward(ids: ArrayLike<number>, slices: readonly Slice<KeyValueCache>[], output: Output = "logits"): number[] {
    let rows = 0;
    let wanted = 0;
    let fit = true;
    for (const slice of slices) {
      rows += slice.tokens;
      wanted += wantedOf(slice);
      fit &&= slice.tokens > 0 && slice.position === slice.cache.length;
    }
    if (!fit || rows !== ids.length || rows > this.batch)
      throw new Error(`${slices.length} slices of ${rows} tokens do not fit ${ids.length} ids or their caches`);
    for (const { cache, tokens } of slices) cache.reserve(tokens);
    const out = this.#logitsAddress(wanted);
    const named: Slice<number>[] = [];
    for (const slice of slices) named.push(renamed(slice, this.#caches.numberOf(slice.cache)));
    this.memory.i32(this.#plan.buffers.ids, rows).set(ids);
    this.#run({ do: "forward", slices: named, out, output, changes: this.#caches.takeChanges() });
    this.#lookAtGates(rows);
    const width = output === "logits" ? this.config.vocab : this.config.hidden;
    const addresses: number[] = [];
    let next = out;
    for (const slice of slices) {
      slice.cache.commit(slice.tokens);
      addresses.push(wantedOf(slice) > 0 ? next : 0);
      next += wantedOf(slice) * width * 4;
    }
    return addresses;
  }

  /** Which rows of the head the logits under a mask need, for `Slice.ranges`. */
  headRanges(mask: Uint32Array): HeadRanges | undefined {
    const { head, config } = this.#plan;
    return headRanges(mask, config.vocab, layouts[head.layout].rowUnit);
  }

  /** Layers whose gates were mostly zero go over to the layouts for that; no bit changes. */
  #lookAtGates(tokens: number): void {
    this.#gatesSeen += tokens;
    if (this.#gatesSeen < this.#nextLook) return;
    this.#nextLook = this.#gatesSeen * 4;
    const stats = this.ffnStats();
    if (!stats) return;
    const layers = sparseLayers(this.#plan.layers, stats);
    if (layers.length > 0) this.#arrange(layers);
  }

  #arrange(layers: number[]): void {
    const bytes = arrangingBytes(layers.map((layer) => this.#plan.layers[layer] as LayerWeights));
    let room: Room | undefined;
    try {
      room = { address: this.memory.alloc(bytes, "room to arrange a matrix"), bytes };
    } catch {
      // The room of the gates will do.
    }
    this.#run({ do: "arrange", layers, room });
    if (room) this.memory.free(room.address);
  }

  /** What zeros saved in feed-forward networks; undefined for models whose activation makes none. */
  ffnStats(): FfnLayersStats | undefined {
    return readFfnCounters(this.memory, this.#plan, this.threads);
  }

  clearFfnStats(): void {
    clearFfnCounters(this.memory, this.#plan, this.threads);
  }

  /** A pooled vector, after the matrices that an embedding model may have for it. */
  project(vector: Float32Array): Float32Array {
    return this.#projection?.run(vector) ?? vector;
  }

  /** Forgets a cache; call before the cache is disposed of. */
  close(cache: KeyValueCache): void {
    this.#caches.close(cache);
  }

  async dispose(): Promise<void> {
    await this.#team.dispose();
  }

  /** Room for so many rows of logits. @throws MemoryError */
  #logitsAddress(rows: number): number {
    if (rows <= 1) return this.#plan.buffers.logits;
    const many = this.#manyLogits;
    if (rows > many.rows) {
      // Powers of two: the number of sequences changes all the time.
      const room = Math.min(2 ** Math.ceil(Math.log2(rows)), this.batch);
      if (many.rows > 0) this.memory.free(many.address);
      this.#manyLogits = { address: 0, rows: 0 };
      const address = this.memory.alloc(room * rowBytes(this.config), "the logits of several tokens");
      this.#manyLogits = { address, rows: room };
    }
    return this.#manyLogits.address;
  }

  #run(command: Command): void {
    this.#team.run(command);
  }
}

/** Bytes of a row of whatever a pass gives. */
function rowBytes({ vocab, hidden }: ModelConfig): number {
  return Math.max(vocab, hidden) * 4;
}

function allocateBuffers(
  kernels: Kernels,
  memory: Memory,
  config: ModelConfig,
  batch: number,
  threads: number,
  contextLength: number,
): Buffers {
  const counterBytes = leavesOut(config) ? ffnCounterBytes(config.layers, threads) : 0;
  const floats = (count: number, what: string) => memory.alloc(count * 4, what);
  const attended = config.heads * config.headDim;
  const cached = config.kvHeads * config.headDim;
  const widest = Math.max(config.hidden, attended, config.ffn);
  const matmulScratch = counterBytes ? kernels.strip_scratch_bytes(widest) : kernels.matmul_scratch_bytes(widest);
  const scratchBytes = Math.ceil(matmulScratch / 64) * 64;
  return {
    ids: floats(batch, "token ids"),
    hidden: floats(batch * config.hidden, "the residual stream"),
    normed: floats(batch * Math.max(config.hidden, attended), "normalised activations"),
    queries: floats(batch * attended, "queries"),
    keys: floats(batch * cached, "keys"),
    values: floats(batch * cached, "values"),
    attended: floats(batch * attended, "attention output"),
    gate: floats(batch * config.ffn, "the gate"),
    up: floats(batch * config.ffn, "the gated values"),
    activations: {
      "int8-token": memory.alloc(activationBytes("int8-token", batch, widest), "quantised activations"),
      "int8-block": memory.alloc(activationBytes("int8-block", batch, widest), "quantised activations"),
    },
    logits: memory.alloc(rowBytes(config) + 32, "logits"),
    attentionScratch: memory.alloc(attentionScratchBytes(config, contextLength, threads), "attention scratch"),
    scratch: memory.alloc(scratchBytes * threads, "thread scratch"),
    scratchBytes,
    ffnCounters: counterBytes && memory.alloc(counterBytes, "counters"),
  };
}
