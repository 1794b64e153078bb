import type { ModelConfig } from "../config.js";
import type { LinearTensor, ModelFile, TensorInfo } from "../formats/model-file.js";
import type { Kernels } from "../kernels/generated.js";
import { loadVector, loadWeight } from "../matmul/load-weight.js";
import { type Lines, planWeight, type WeightPlan } from "../matmul/plan.js";
import { readBuffers } from "../matmul/stream.js";
import type { Weight } from "../matmul/weight.js";
import type { Memory } from "../memory/memory.js";
import { isMatrix, layerRoles, type MatrixRole, matrixRoles } from "./architectures/roles.js";
import { leavesOut } from "./leaves-out.js";
import type { LayerWeights } from "./plan.js";

/** Bytes of the buffer through which weights stream: small beside any model, large beside a row. */
const STAGING_BYTES = 8 << 20;

/** Precision in which the output head is kept. */
export type HeadPrecision = "f16" | "q8" | "q6" | "q4";

/** What a matrix becomes, where that is not up to its type alone. */
interface Conversion {
  target?: HeadPrecision | undefined;
  lines?: Lines | undefined;
}

export interface LoadedWeights {
  embedding: Weight;
  layers: LayerWeights[];
  outputNorm: number;
  head: Weight;
  /** Matrices after pooling, in the order of their use. */
  dense: Weight[];
  /** Address of the RoPE frequency divisors, `[headDim / 2]`, or 0. */
  ropeFactors: number;
  bytes: number;
}

/**
 * Streams every weight from the file to its final place, repacked on the way.
 * Peak memory: the weights in their final form and one staging buffer.
 * @throws FormatError, SourceError, MemoryError, or the signal's reason
 */
export async function loadWeights(
  kernels: Kernels,
  memory: Memory,
  file: ModelFile,
  options: {
    head?: HeadPrecision | undefined;
    /** As for `loadWeight`. */
    lut?: boolean | undefined;
    signal?: AbortSignal | undefined;
    onBytes?: ((done: number, total: number) => void) | undefined;
  },
): Promise<LoadedWeights> {
  const { config, tensors } = file;
  const staging = memory.alloc(STAGING_BYTES, "the staging buffer");
  const total = file.allTensors.reduce((sum, tensor) => sum + tensor.byteLength, 0);
  const buffers = readBuffers();
  const before = memory.usedBytes;
  let done = 0;

  const loadMatrix = (tensor: LinearTensor, plan: WeightPlan, address: number): Promise<Weight> =>
    loadWeight(kernels, memory, tensor, address, plan, {
      staging,
      stagingBytes: STAGING_BYTES,
      buffers,
      headDim: config.headDim,
      lut: options.lut,
      signal: options.signal,
      onBytes: (bytes) => {
        done += bytes;
        options.onBytes?.(Math.min(done, total), total);
      },
    });
  const loadVectorAt = async (tensor: LinearTensor, address: number): Promise<void> => {
    options.signal?.throwIfAborted();
    await loadVector(memory, tensor, address, options.signal);
    adaptVector(memory.f32(address, tensor.shape[0] as number), tensor, config.headDim);
    done += tensor.byteLength;
  };

  try {
    const headTarget = headTargetOf(file, options.head);
    // Grown once: every growth of the memory costs a garbage collection.
    memory.free(memory.alloc(plannedBytes(file, headTarget), "the weights"));
    // First a place for each, in the order of its use: a pass then reads one stream. Then the loading, in the order of
    // the files: sources behind a network then read without gaps.
    const wanted: { tensor: LinearTensor; load: () => Promise<void> }[] = [];
    const matrix = (tensor: LinearTensor, put: (weight: Weight) => void, to: Conversion = {}) => {
      const plan = planWeight(tensor, to);
      const address = memory.alloc(plan.bytes, tensor.name);
      wanted.push({ tensor, load: async () => put(await loadMatrix(tensor, plan, address)) });
    };
    const vector = (tensor: LinearTensor | undefined, put: (address: number) => void) => {
      const address = tensor ? memory.alloc((tensor.shape[0] as number) * 4, tensor.name) : 0;
      put(address);
      if (tensor) wanted.push({ tensor, load: () => loadVectorAt(tensor, address) });
    };
    const result: Partial<LoadedWeights> = {};
    matrix(
      tensors.embedding,
      (weight) => {
        result.embedding = weight;
      },
      { target: tensors.head ? undefined : headTarget },
    );
    const layers: Partial<LayerWeights>[] = tensors.layers.map(() => ({}));
    tensors.layers.forEach((layer, i) => {
      const loaded = layers[i] as Partial<LayerWeights>;
      for (const role of layerRoles) {
        if (isMatrix(role))
          matrix(
            layer[role],
            (weight) => {
              loaded[role] = weight;
            },
            { lines: linesOf(config, role) },
          );
        else
          vector(layer[role], (address) => {
            loaded[role] = address;
          });
      }
    });
    vector(tensors.outputNorm, (address) => {
      result.outputNorm = address;
    });
    if (tensors.head)
      matrix(
        tensors.head,
        (weight) => {
          result.head = weight;
        },
        { target: headTarget },
      );
    const dense: Weight[] = [];
    [tensors.dense2, tensors.dense3].forEach((tensor, i) => {
      if (tensor)
        matrix(tensor, (weight) => {
          dense[i] = weight;
        });
    });
    vector(tensors.ropeFactors, (address) => {
      result.ropeFactors = address;
    });
    const sources = [...new Set(file.allTensors.map((tensor) => tensor.source))];
    const place = ({ source }: LinearTensor) => sources.indexOf(source);
    wanted.sort(({ tensor: a }, { tensor: b }) => place(a) - place(b) || a.offset - b.offset);
    for (const { load } of wanted) await load();
    const { embedding, outputNorm, ropeFactors } = result as LoadedWeights;
    const head = result.head ?? embedding;
    for (const source of sources) await source.unchanged?.();
    options.onBytes?.(total, total);
    const bytes = memory.usedBytes - before;
    return { embedding, layers: layers as LayerWeights[], outputNorm, head, dense, ropeFactors, bytes };
  } finally {
    memory.free(staging);
  }
}

/** How the output head is kept: as asked for, floats in 8 bits, everything else as it is. */
export function headTargetOf(
  { config, tensors }: ModelFile,
  asked: HeadPrecision | undefined,
): HeadPrecision | undefined {
  // A model made for embeddings computes no logits: nothing is won by a smaller head.
  return asked ?? (isFloat(tensors.head ?? tensors.embedding) && !config.pooling ? "q8" : undefined);
}

/** Bytes of all weights in their final form, give or take the padding of the allocator. */
export function plannedBytes({ config, tensors }: ModelFile, headTarget: HeadPrecision | undefined): number {
  const bytes = (tensor: LinearTensor, to: Conversion = {}) => planWeight(tensor, to).bytes;
  let sum = bytes(tensors.embedding, { target: tensors.head ? undefined : headTarget });
  if (tensors.head) sum += bytes(tensors.head, { target: headTarget });
  for (const tensor of [tensors.dense2, tensors.dense3]) if (tensor) sum += bytes(tensor);
  for (const layer of tensors.layers)
    for (const role of matrixRoles) sum += bytes(layer[role], { lines: linesOf(config, role) });
  return sum;
}

/** How single rows or columns of a matrix may be wanted, where zeros between `up` and `down` are left out. */
function linesOf(config: ModelConfig, role: MatrixRole): Lines | undefined {
  if (!leavesOut(config)) return undefined;
  return role === "up" ? "rows" : role === "down" ? "columns" : undefined;
}

/** Values as the forward pass wants them, where the file has them otherwise: rows in pairs, norms minus one. */
function adaptVector(values: Float32Array, { rowOrder, add = 0 }: LinearTensor, headDim: number): void {
  if (add !== 0) for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) + add;
  if (rowOrder !== "interleaved") return;
  const half = headDim / 2;
  for (let head = 0; head < values.length; head += headDim) {
    const stored = values.slice(head, head + headDim);
    for (let j = 0; j < headDim; j++) values[head + (j % 2) * half + (j >> 1)] = stored[j] as number;
  }
}

function isFloat(tensor: TensorInfo): boolean {
  return tensor.type === "F16" || tensor.type === "BF16" || tensor.type === "F32";
}
