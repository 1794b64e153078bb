import { FormatError, UnsupportedError } from "../errors.js";
import type { LinearTensor, TensorInfo } from "../formats/model-file.js";
import type { Kernels } from "../kernels/generated.js";
import type { Memory } from "../memory/memory.js";
import { makeThread } from "../threads/thread.js";
import { blockShapes } from "./dequantise.js";
import type { RepackBlocks } from "./kernels.js";
import {
  blockScaleColumns,
  groupBytes,
  hasBlockScales,
  LUT_ROWS,
  matrixShape,
  paddedColumns,
  planWeight,
  ROW_GROUP,
  type WeightLayout,
  type WeightPlan,
} from "./layout.js";
import { embedRows } from "./matmul.js";
import { bf16ToFloat, f16ToFloat, roundToBf16 } from "./numbers.js";
import { eachChunk } from "./stream.js";

export { planWeight, type WeightLayout, type WeightPlan, type WeightTarget } from "./layout.js";
export { readBuffers } from "./stream.js";

/** A matrix in memory. Plain data: can be sent to threads as JSON. */
export interface Weight {
  layout: WeightLayout;
  rows: number;
  columns: number;
  /** A multiple of 16. */
  address: number;
  bytes: number;
  /** Factor on the output; 1 except for ternary matrices. */
  scale: number;
  /** Address of f32 scales `[groups of 8 rows][columns / 256][8]`, for ternary files whose blocks differ in scale. */
  blockScales?: number | undefined;
}

export interface LoadOptions {
  /** Address of memory for the bytes on their way, a multiple of 16. */
  staging: number;
  /** Some MiB; at least 64 kB and, for matrices that are quantised anew, 60 bytes per column. */
  stagingBytes: number;
  /** Rows per head; needed for tensors with `rowOrder: "interleaved"`. */
  headDim?: number | undefined;
  /** Ternary matrices in layout `ternary-lut` where it can be: for the kernels without relaxed SIMD. Default: no. */
  lut?: boolean | undefined;
  /** `readBuffers()`, shared by the loads of a model, one after the other; without them every read allocates. */
  buffers?: readonly [Uint8Array, Uint8Array] | undefined;
  signal?: AbortSignal | undefined;
  /** Called with the number of bytes read since the last call. */
  onBytes?: ((bytes: number) => void) | undefined;
}

/** What every repacking step needs. */
interface Job {
  kernels: Kernels;
  memory: Memory;
  tensor: LinearTensor;
  address: number;
  rows: number;
  columns: number;
  headDim: number;
  /** Scratch of the repacking kernels; the bytes of the file come after it. */
  temp: number;
  options: LoadOptions & { source: number; sourceBytes: number };
}

const FLOATS: Record<string, { type: number; size: number }> = {
  F32: { type: 0, size: 4 },
  F16: { type: 1, size: 2 },
  BF16: { type: 2, size: 2 },
};

/**
 * Streams a matrix from its source through `staging` into its final place at `address`.
 * @throws FormatError when the data holds codes or scales that cannot be (with their offset), or the shape does not fit
 * the type; SourceError on short reads
 */
export async function loadWeight(
  kernels: Kernels,
  memory: Memory,
  tensor: LinearTensor,
  address: number,
  plan: WeightPlan,
  options: LoadOptions,
): Promise<Weight> {
  const [rows, columns] = matrixShape(tensor);
  const headDim = tensor.rowOrder === "interleaved" ? (options.headDim ?? 0) : 0;
  if (tensor.rowOrder === "interleaved" && (!headDim || headDim % 2 || rows % headDim))
    throw new FormatError(`Rows in pairs, but ${rows} rows are not heads of ${headDim}`, place(tensor));
  const tempBytes = Math.ceil((paddedColumns(columns) + 4096) / 64) * 64;
  const job: Job = {
    kernels,
    memory,
    tensor,
    address,
    rows,
    columns,
    headDim,
    temp: options.staging,
    options: { ...options, source: options.staging + tempBytes, sourceBytes: options.stagingBytes - tempBytes },
  };
  if (rows % ROW_GROUP !== 0) {
    const bytes = groupBytes(plan.layout, columns);
    memory.u8(address + Math.floor(rows / ROW_GROUP) * bytes, bytes).fill(0);
  }
  const weight: Weight = { layout: plan.layout, rows, columns, address, bytes: plan.bytes, scale: 1 };
  if (FLOATS[tensor.type]) await loadFloats(job, weight);
  else if (tensor.type === "I2_S") await loadI2S(job, weight);
  else if (tensor.type === "HF_BITNET_U8") await loadPackedRows(job);
  else if (planWeight(tensor).layout !== weight.layout) await requantise(job, weight);
  else await loadBlocks(job, weight);
  if (options.lut) arrangeForLookUps(job, weight);
  if (tensor.scale !== undefined) weight.scale = Math.fround(weight.scale * tensor.scale);
  return weight;
}

/** To layout `ternary-lut`, if there is one scale, the rows fill its tiles and the staging has room for a panel of 1024. */
function arrangeForLookUps({ kernels, rows, columns, address, options }: Job, weight: Weight): void {
  if (weight.layout !== "ternary" || weight.blockScales !== undefined || rows % LUT_ROWS !== 0) return;
  if ((Math.min(rows, 1024) * paddedColumns(columns)) / 4 > options.stagingBytes) return;
  kernels.arrange_ternary_lut(address, rows, columns, options.staging);
  weight.layout = "ternary-lut";
}

/**
 * Reads a vector (norm weights, RoPE factors) as f32 to `address`.
 * @throws UnsupportedError when it is stored in a quantised type
 */
export async function loadVector(
  memory: Memory,
  tensor: TensorInfo,
  address: number,
  signal?: AbortSignal,
): Promise<void> {
  const float = FLOATS[tensor.type];
  if (!float) throw new UnsupportedError(`A vector of type ${tensor.type}`, place(tensor));
  const count = tensor.shape.reduce((product, n) => product * n, 1);
  const bytes = await tensor.source.read(tensor.offset, count * float.size, signal);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const out = memory.f32(address, count);
  for (let i = 0; i < count; i++) {
    if (tensor.type === "F32") out[i] = view.getFloat32(i * 4, true);
    else out[i] = (tensor.type === "F16" ? f16ToFloat : bf16ToFloat)(view.getUint16(i * 2, true));
  }
}

function place(tensor: TensorInfo, offset?: number) {
  return { file: tensor.source.name, tensor: tensor.name, offset };
}

async function loadFloats(job: Job, weight: Weight): Promise<void> {
  const { kernels, tensor, address, columns, headDim, temp } = job;
  const { type, size } = FLOATS[tensor.type] as { type: number; size: number };
  const notFinite = (offset: number | undefined) =>
    new FormatError("A weight that is not a finite number", place(tensor, offset));
  const chunks = (handle: (source: number, firstRow: number, rows: number) => number) =>
    eachChunk(job.memory, tensor, job.options, job.rows, columns * size, 1, (source, firstRow, rows, fileOffset) => {
      const bad = handle(source, firstRow, rows);
      if (bad >= 0) throw notFinite(fileOffset + bad);
    });
  if (weight.layout === "ternary") {
    let sum = 0;
    await chunks((source, _, rows) => {
      sum = kernels.sum_magnitudes(source, rows, columns, type, sum);
      return -1;
    });
    if (!Number.isFinite(sum)) throw notFinite(undefined);
    const mean = Math.max(Math.fround(sum / (job.rows * columns)), Math.fround(1e-5));
    const inverse = Math.fround(1 / mean);
    await chunks((source, firstRow, rows) => {
      kernels.repack_float_ternary(address, source, rows, columns, firstRow, headDim, type, inverse, temp);
      return -1;
    });
    weight.scale = tensor.masterScaleBf16 ? roundToBf16(mean) : mean;
  } else
    await chunks((source, firstRow, rows) => {
      if (weight.layout === "q8")
        return kernels.repack_float_q8(address, source, rows, columns, firstRow, headDim, type, temp);
      if (weight.layout === "q6")
        return kernels.repack_float_q6(address, source, rows, columns, firstRow, headDim, type, temp);
      if (weight.layout === "q4")
        return kernels.repack_float_q4(address, source, rows, columns, firstRow, headDim, type, temp);
      kernels.repack_float(address, source, rows, columns, firstRow, headDim, size);
      return -1;
    });
}

async function loadBlocks(job: Job, weight: Weight): Promise<void> {
  const { kernels, tensor, address, columns, headDim, temp } = job;
  const rowBytes = blockRowBytes(tensor, columns);
  const groups = Math.ceil(job.rows / ROW_GROUP);
  const scales = address + groups * groupBytes(weight.layout, columns);
  const scaleCount = groups * ROW_GROUP * blockScaleColumns(columns);
  const ternary = hasBlockScales(tensor.type);
  if (ternary) job.memory.f32(scales, scaleCount).fill(0);
  const repack = kernels[`repack_${tensor.type.toLowerCase()}` as "repack_q4_0"] as RepackBlocks;
  await eachChunk(job.memory, tensor, job.options, job.rows, rowBytes, 1, (source, firstRow, rows, fileOffset) => {
    const repackTernary = tensor.type === "TQ1_0" ? kernels.repack_tq1_0 : kernels.repack_tq2_0;
    const bad = ternary
      ? repackTernary(address, source, rows, columns, firstRow, headDim, scales, temp)
      : repack(address, source, rows, columns, firstRow, headDim, temp);
    if (bad >= 0) throw impossibleBlock(tensor, fileOffset + bad);
  });
  if (!ternary) return;
  if (kernels.same_scales(scales, scaleCount)) weight.scale = job.memory.f32(scales, 1)[0] as number;
  else weight.blockScales = scales;
}

/** A quantised matrix in fewer bits: eight rows at a time to the layout of their type, to f32, to the new layout. */
async function requantise(job: Job, weight: Weight): Promise<void> {
  const { kernels, memory, tensor, address, columns, headDim, temp, options } = job;
  const layout = planWeight(tensor).layout;
  const rowBytes = blockRowBytes(tensor, columns);
  const ids = options.source;
  memory.i32(ids, ROW_GROUP).set([0, 1, 2, 3, 4, 5, 6, 7]);
  const floats = ids + 64;
  const group = floats + ROW_GROUP * columns * 4;
  const source = group + Math.ceil(groupBytes(layout, columns) / 64) * 64;
  const repack = kernels[`repack_${tensor.type.toLowerCase()}` as "repack_q4_0"];
  const toTarget = kernels[`repack_float_${weight.layout}` as "repack_float_q4"];
  const thread = makeThread(kernels, memory.wasm, temp);
  const part: Weight = { layout, rows: ROW_GROUP, columns, address: group, bytes: source - group, scale: 1 };
  const stream = { ...options, source, sourceBytes: options.sourceBytes - (source - options.source) };
  await eachChunk(memory, tensor, stream, job.rows, rowBytes, 1, (from, firstRow, rows, fileOffset) => {
    for (let row = 0; row < rows; row += ROW_GROUP) {
      const count = Math.min(ROW_GROUP, rows - row);
      const bad = repack(group, from + row * rowBytes, count, columns, 0, 0, temp);
      if (bad >= 0) throw impossibleBlock(tensor, fileOffset + row * rowBytes + bad);
      embedRows(thread, floats, part, ids, count, 0, count);
      toTarget(address, floats, count, columns, firstRow + row, headDim, 0, temp);
    }
  });
}

function blockRowBytes(tensor: TensorInfo, columns: number): number {
  const block = blockShapes[tensor.type] as { values: number; bytes: number };
  return (columns / block.values) * block.bytes;
}

function impossibleBlock(tensor: TensorInfo, offset: number): FormatError {
  return new FormatError(`A ${tensor.type} block with an impossible scale or code`, place(tensor, offset));
}

async function loadI2S(job: Job, weight: Weight): Promise<void> {
  const { kernels, tensor, address, columns, headDim, temp } = job;
  const layout = tensor.i2sLayout ?? "block128";
  const code3 = (offset: number) =>
    new FormatError("An I2_S code 3, which stands for nothing", place(tensor, offset), "Another I2_S layout may fit");
  if (layout === "rows4") {
    if (job.rows % 4 !== 0) throw new FormatError(`${job.rows} rows do not fill bytes of four rows`, place(tensor));
    await eachChunk(job.memory, tensor, job.options, job.rows, columns / 4, 4, (source, firstRow, rows, fileOffset) => {
      const bad = kernels.repack_i2s_rows4(address, source, rows, columns, firstRow, headDim, temp);
      if (bad >= 0) throw code3(fileOffset + bad);
    });
  } else {
    const block = layout === "block64" ? 64 : 128;
    if ((job.rows * columns) % block !== 0)
      throw new FormatError(`${job.rows} × ${columns} values are not whole I2_S blocks of ${block}`, place(tensor));
    // Chunks of rows that begin with a block, so that no block is split.
    let unit = 1;
    while ((unit * columns) % block !== 0) unit *= 2;
    await eachChunk(
      job.memory,
      tensor,
      job.options,
      job.rows,
      columns / 4,
      unit,
      (source, firstRow, rows, fileOffset) => {
        const bad = kernels.repack_i2s(address, source, rows, columns, firstRow, headDim, block, temp);
        if (bad >= 0) throw code3(fileOffset + bad);
      },
    );
  }
  const tail = await tensor.source.read(tensor.offset + (job.rows * columns) / 4, 4, job.options.signal);
  weight.scale = new DataView(tail.buffer, tail.byteOffset, 4).getFloat32(0, true);
  if (!Number.isFinite(weight.scale))
    throw new FormatError("The scale of an I2_S matrix is not a number", place(tensor, tensor.offset));
}

async function loadPackedRows(job: Job): Promise<void> {
  const { kernels, tensor, address, columns, headDim, temp } = job;
  const quarter = Math.ceil(job.rows / 4);
  await eachChunk(job.memory, tensor, job.options, quarter, columns, 1, (source, firstRow, rows, fileOffset) => {
    const bad = kernels.repack_hf_bitnet(address, source, rows, columns, firstRow, quarter, job.rows, headDim, temp);
    if (bad >= 0) throw new FormatError("A ternary code 3, which stands for nothing", place(tensor, fileOffset + bad));
  });
}
