import { FormatError, UnsupportedError } from "../errors.js";
import type { LinearTensor, TensorInfo } from "../formats/model-file.js";
import { type Kernels, Repack } from "../kernels/generated.js";
import type { Memory } from "../memory/memory.js";
import { makeThread, RECORD_BYTES } from "../threads/thread.js";
import { layouts } from "./layouts/index.js";
import { paddedColumns, ROW_GROUP } from "./layouts/layout.js";
import { LUT_ROWS } from "./layouts/ternary-lut.js";
import { embedRows } from "./matmul.js";
import { bf16ToFloat, f16ToFloat, roundToBf16 } from "./numbers.js";
import { blockScaleColumns, matrixShape, planWeight, type WeightPlan } from "./plan.js";
import { floatRepacks, type RepackKernel, storedTypes } from "./stored-types.js";
import { eachRead } from "./stream.js";
import type { Weight } from "./weight.js";

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
  /** Where the records of kernels are written. */
  record: number;
  options: LoadOptions & { source: number; sourceBytes: number };
}

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
  const tempBytes = Math.ceil((paddedColumns(columns) + 4096) / 64) * 64 + RECORD_BYTES;
  const job: Job = {
    kernels,
    memory,
    tensor,
    address,
    rows,
    columns,
    headDim,
    temp: options.staging,
    record: options.staging + tempBytes - RECORD_BYTES,
    options: { ...options, source: options.staging + tempBytes, sourceBytes: options.stagingBytes - tempBytes },
  };
  if (rows % ROW_GROUP !== 0) {
    const bytes = layouts[plan.layout].groupBytes(columns);
    memory.u8(address + Math.floor(rows / ROW_GROUP) * bytes, bytes).fill(0);
  }
  const weight: Weight = { layout: plan.layout, rows, columns, address, bytes: plan.bytes, scale: 1 };
  if (storedTypes[tensor.type].float !== undefined) await loadFloats(job, weight);
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
  const { float, block } = storedTypes[tensor.type];
  if (float === undefined || !block) throw new UnsupportedError(`A vector of type ${tensor.type}`, place(tensor));
  const count = tensor.shape.reduce((product, n) => product * n, 1);
  const bytes = await tensor.source.read(tensor.offset, count * block.bytes, signal);
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

/** Rows `firstRow …` of a matrix, of which `rows` are at `source`, to their layout; −1 or the offset of what cannot be. */
function repack(
  job: Job,
  kernel: RepackKernel,
  part: { source: number; firstRow: number; rows: number } & Partial<Repack>,
): number {
  Repack.write(new DataView(job.memory.wasm.buffer), job.record, {
    weights: job.address,
    temp: job.temp,
    blockScales: 0,
    columns: job.columns,
    headDim: job.headDim,
    type: storedTypes[job.tensor.type].float ?? 0,
    block: 0,
    matrixRows: job.rows,
    inverse: 1,
    ...part,
  });
  return job.kernels[kernel](job.record);
}

async function loadFloats(job: Job, weight: Weight): Promise<void> {
  const { kernels, tensor, columns } = job;
  const stored = storedTypes[tensor.type];
  const lines = { count: job.rows, bytes: columns * (stored.block?.bytes as number) };
  const notFinite = (offset: number | undefined) =>
    new FormatError("A weight that is not a finite number", place(tensor, offset));
  const repackAll = (kernel: RepackKernel, inverse = 1) =>
    eachRead(job.memory, tensor, job.options, lines, (source, firstRow, rows, fileOffset) => {
      const bad = repack(job, kernel, { source, firstRow, rows, inverse });
      if (bad >= 0) throw notFinite(fileOffset + bad);
    });
  if (weight.layout !== "ternary") {
    await repackAll(floatRepacks[weight.layout] ?? stored.repack);
    return;
  }
  let sum = 0;
  await eachRead(job.memory, tensor, job.options, lines, (source, _, rows) => {
    sum = kernels.sum_magnitudes(source, rows, columns, stored.float as number, sum);
  });
  if (!Number.isFinite(sum)) throw notFinite(undefined);
  const mean = Math.max(Math.fround(sum / (job.rows * columns)), Math.fround(1e-5));
  await repackAll("repack_float_ternary", Math.fround(1 / mean));
  weight.scale = tensor.masterScaleBf16 ? roundToBf16(mean) : mean;
}

async function loadBlocks(job: Job, weight: Weight): Promise<void> {
  const { kernels, tensor, address, columns } = job;
  const stored = storedTypes[tensor.type];
  const groups = Math.ceil(job.rows / ROW_GROUP);
  const scales = address + groups * layouts[weight.layout].groupBytes(columns);
  const scaleCount = groups * ROW_GROUP * blockScaleColumns(columns);
  if (stored.blockScales) job.memory.f32(scales, scaleCount).fill(0);
  const lines = { count: job.rows, bytes: blockRowBytes(tensor, columns) };
  await eachRead(job.memory, tensor, job.options, lines, (source, firstRow, rows, fileOffset) => {
    const bad = repack(job, stored.repack, { source, firstRow, rows, blockScales: stored.blockScales ? scales : 0 });
    if (bad >= 0) throw impossibleBlock(tensor, fileOffset + bad);
  });
  if (!stored.blockScales) return;
  if (kernels.same_scales(scales, scaleCount)) weight.scale = job.memory.f32(scales, 1)[0] as number;
  else weight.blockScales = scales;
}

/** A quantised matrix in fewer bits: eight rows at a time to the layout of their type, to f32, to the new layout. */
async function requantise(job: Job, weight: Weight): Promise<void> {
  const { kernels, memory, tensor, columns, options } = job;
  const { layout, repack: toLayout } = storedTypes[tensor.type];
  const toTarget = floatRepacks[weight.layout] as RepackKernel;
  const rowBytes = blockRowBytes(tensor, columns);
  const ids = options.source;
  memory.i32(ids, ROW_GROUP).set([0, 1, 2, 3, 4, 5, 6, 7]);
  const floats = ids + 64;
  const group = floats + ROW_GROUP * columns * 4;
  const source = group + Math.ceil(layouts[layout].groupBytes(columns) / 64) * 64;
  const thread = makeThread(kernels, memory.wasm, job.record);
  const part: Weight = { layout, rows: ROW_GROUP, columns, address: group, bytes: source - group, scale: 1 };
  const stream = { ...options, source, sourceBytes: options.sourceBytes - (source - options.source) };
  const lines = { count: job.rows, bytes: rowBytes };
  await eachRead(memory, tensor, stream, lines, (from, firstRow, rows, fileOffset) => {
    for (let row = 0; row < rows; row += ROW_GROUP) {
      const count = Math.min(ROW_GROUP, rows - row);
      const stored = { source: from + row * rowBytes, firstRow: 0, rows: count, headDim: 0, weights: group };
      const bad = repack(job, toLayout, stored);
      if (bad >= 0) throw impossibleBlock(tensor, fileOffset + row * rowBytes + bad);
      embedRows(thread, floats, part, ids, 0, count);
      repack(job, toTarget, { source: floats, firstRow: firstRow + row, rows: count, type: 0 });
    }
  });
}

function blockRowBytes(tensor: TensorInfo, columns: number): number {
  const block = storedTypes[tensor.type].block as { values: number; bytes: number };
  return (columns / block.values) * block.bytes;
}

function impossibleBlock(tensor: TensorInfo, offset: number): FormatError {
  return new FormatError(`A ${tensor.type} block with an impossible scale or code`, place(tensor, offset));
}

async function loadI2S(job: Job, weight: Weight): Promise<void> {
  const { tensor, columns } = job;
  const layout = tensor.i2sLayout ?? "block128";
  const kernel = layout === "rows4" ? "repack_i2s_rows4" : "repack_i2s";
  const block = layout === "block64" ? 64 : 128;
  let unit = 4;
  if (layout === "rows4") {
    if (job.rows % 4 !== 0) throw new FormatError(`${job.rows} rows do not fill bytes of four rows`, place(tensor));
  } else {
    if ((job.rows * columns) % block !== 0)
      throw new FormatError(`${job.rows} × ${columns} values are not whole I2_S blocks of ${block}`, place(tensor));
    // Portions of rows that begin with a block, so that no block is split.
    unit = 1;
    while ((unit * columns) % block !== 0) unit *= 2;
  }
  const lines = { count: job.rows, bytes: columns / 4, unit };
  await eachRead(job.memory, tensor, job.options, lines, (source, firstRow, rows, fileOffset) => {
    const bad = repack(job, kernel, { source, firstRow, rows, block });
    if (bad >= 0)
      throw new FormatError(
        "An I2_S code 3, which stands for nothing",
        place(tensor, fileOffset + bad),
        "Another I2_S layout may fit",
      );
  });
  const tail = await tensor.source.read(tensor.offset + (job.rows * columns) / 4, 4, job.options.signal);
  weight.scale = new DataView(tail.buffer, tail.byteOffset, 4).getFloat32(0, true);
  if (!Number.isFinite(weight.scale))
    throw new FormatError("The scale of an I2_S matrix is not a number", place(tensor, tensor.offset));
}

async function loadPackedRows(job: Job): Promise<void> {
  const { tensor, columns } = job;
  const lines = { count: Math.ceil(job.rows / 4), bytes: columns };
  await eachRead(job.memory, tensor, job.options, lines, (source, firstRow, rows, fileOffset) => {
    const bad = repack(job, "repack_hf_bitnet", { source, firstRow, rows });
    if (bad >= 0) throw new FormatError("A ternary code 3, which stands for nothing", place(tensor, fileOffset + bad));
  });
}
