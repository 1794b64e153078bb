import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { LinearTensor, TensorType } from "#src/formats/model-file.js";
import type { ByteSource } from "#src/formats/source.js";
import type { Kernels } from "#src/kernels/generated.js";
import { instantiateKernels, type KernelBuild, kernelModule } from "#src/kernels/instantiate.js";
import { activationBytes, quantiseActivations } from "#src/matmul/activations.js";
import type { DotChoice } from "#src/matmul/dots.js";
import { layouts } from "#src/matmul/layouts/index.js";
import { loadWeight } from "#src/matmul/load-weight.js";
import { embedRows, matmul, matmulRanges } from "#src/matmul/matmul.js";
import { planWeight, type WeightTarget } from "#src/matmul/plan.js";
import { storedTypes } from "#src/matmul/stored-types.js";
import type { Weight } from "#src/matmul/weight.js";
import { Memory } from "#src/memory/memory.js";
import { makeThread, RECORD_BYTES, type Thread } from "#src/threads/thread.js";
import { dequantise } from "../twins/dequantise.js";

/** A small deterministic generator (mulberry32): numbers in [0, 1). */
export function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A JSON file of `test/fixtures/matmul`, found from the compiled test upwards. */
export function fixture<T>(name: string): T {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    try {
      return JSON.parse(readFileSync(join(folder, "test/fixtures/matmul", name), "utf8")) as T;
    } catch (error) {
      if (folder === dirname(folder)) throw error;
    }
  }
}

/** Bytes in memory as a source. */
export function bytesSource(bytes: Uint8Array): ByteSource {
  return {
    name: "bytes",
    size: bytes.length,
    read: async (offset, length) => bytes.slice(offset, offset + length),
  };
}

/** f16 scale fields of each block type: byte offsets. */
const scaleFields: Partial<Record<TensorType, number[]>> = {
  Q4_0: [0],
  Q4_1: [0, 2],
  Q5_0: [0],
  Q5_1: [0, 2],
  Q8_0: [0],
  Q2_K: [80, 82],
  Q3_K: [108],
  Q4_K: [0, 2],
  Q5_K: [0, 2],
  Q6_K: [208],
  TQ1_0: [52],
  TQ2_0: [64],
};

/** A random matrix in a file type, and the numbers it stands for. */
export function randomTensor(
  type: TensorType,
  rows: number,
  columns: number,
  seed: number,
  options: { sameScales?: boolean } = {},
): { tensor: LinearTensor; values: Float32Array } {
  const next = random(seed);
  const shape = storedTypes[type].block as { values: number; bytes: number };
  const count = (rows * columns) / shape.values;
  const bytes = new Uint8Array(count * shape.bytes);
  const view = new DataView(bytes.buffer);
  const ternaryByte = () => [0, 2, 4, 6].reduce((byte, shift) => byte | (Math.floor(next() * 3) << shift), 0);
  for (let b = 0; b < count; b++) {
    const at = b * shape.bytes;
    if (type === "F32") view.setFloat32(at, next() * 2 - 1, true);
    else if (type === "F16") view.setUint16(at, Math.floor(next() * 0x3c00) | (next() < 0.5 ? 0x8000 : 0), true);
    else if (type === "BF16")
      view.setUint16(at, 0x3800 + Math.floor(next() * 0x700) + (next() < 0.5 ? 0x8000 : 0), true);
    else {
      for (let i = 0; i < shape.bytes; i++) bytes[at + i] = type === "TQ2_0" ? ternaryByte() : Math.floor(next() * 256);
      for (const field of scaleFields[type] as number[]) {
        const bits = options.sameScales ? 0x2c00 : 0x1800 + Math.floor(next() * 0x1000);
        view.setUint16(at + field, bits | (!options.sameScales && next() < 0.2 ? 0x8000 : 0), true);
      }
    }
  }
  const tensor: LinearTensor = {
    name: "test",
    type,
    shape: [rows, columns],
    source: bytesSource(bytes),
    offset: 0,
    byteLength: bytes.length,
  };
  return { tensor, values: dequantise(type, bytes) };
}

/** A kernel build with a memory, as one thread of `count`. */
export class Machine {
  readonly memory = new Memory({ shared: false, initialBytes: 1 << 22 });
  readonly kernels: Kernels;
  readonly #records = this.memory.alloc(RECORD_BYTES, "records");

  constructor(readonly build: KernelBuild) {
    this.kernels = instantiateKernels(kernelModule(build), this.memory.wasm);
  }

  thread(index = 0, count = 1): Thread {
    return makeThread(this.kernels, this.memory.wasm, this.#records, { index, count, barrier() {} });
  }

  async load(
    tensor: LinearTensor,
    options: { target?: WeightTarget; headDim?: number; stagingBytes?: number; lut?: boolean } = {},
  ): Promise<Weight> {
    const plan = planWeight(tensor, options);
    const stagingBytes = options.stagingBytes ?? 1 << 20;
    const address = this.memory.alloc(plan.bytes, "weight");
    // Whatever was there before must not matter.
    this.memory.u8(address, plan.bytes).fill(0xff);
    const staging = this.memory.alloc(stagingBytes, "staging");
    const weight = await loadWeight(this.kernels, this.memory, tensor, address, plan, {
      staging,
      stagingBytes,
      headDim: options.headDim,
      lut: options.lut,
    });
    this.memory.free(staging);
    return JSON.parse(JSON.stringify(weight)) as Weight;
  }

  /** weight · x for all tokens, by `threads` threads one after the other. */
  multiply(
    weight: Weight,
    x: Float32Array,
    tokens: number,
    options: { threads?: number; onto?: Float32Array; dots?: DotChoice; ranges?: readonly number[] } = {},
  ) {
    const { memory } = this;
    const kind = layouts[weight.layout].activations;
    const xAddress = memory.alloc(x.byteLength, "x");
    memory.f32(xAddress, x.length).set(x);
    const buffer = memory.alloc(activationBytes(kind, tokens, weight.columns) + 16, "activations");
    const out = memory.alloc(tokens * weight.rows * 4 + 64, "out");
    memory.f32(out, tokens * weight.rows + 16).fill(options.onto ? 0 : Number.NaN);
    if (options.onto) memory.f32(out, tokens * weight.rows).set(options.onto);
    const guard = memory.f32(out, tokens * weight.rows + 16);
    guard.fill(12345, tokens * weight.rows);
    const threads = options.threads ?? 1;
    for (let index = 0; index < threads; index++)
      quantiseActivations(this.thread(index, threads), kind, buffer, xAddress, weight.columns, [
        Math.floor((tokens * index) / threads),
        Math.floor((tokens * (index + 1)) / threads),
      ]);
    const scratch = memory.alloc(this.kernels.strip_scratch_bytes(weight.columns), "scratch");
    const input = kind === "f32" ? xAddress : buffer;
    const how = { accumulate: options.onto !== undefined, scratch, dots: options.dots };
    for (let index = 0; index < threads; index++) {
      const thread = this.thread(index, threads);
      if (options.ranges) matmulRanges(thread, out, weight, input, options.ranges, how);
      else matmul(thread, out, weight, input, tokens, how);
    }
    const result = memory.f32(out, tokens * weight.rows).slice();
    for (const value of memory.f32(out, tokens * weight.rows + 16).subarray(tokens * weight.rows))
      if (value !== 12345) throw new Error("wrote beyond the output");
    for (const address of [xAddress, buffer, out, scratch]) memory.free(address);
    return result;
  }
}

/** All rows of a matrix, read back through the embedding look-up. */
export function rowsOf(machine: Machine, weight: Weight): Float32Array {
  const { memory } = machine;
  const ids = memory.alloc(weight.rows * 4, "ids");
  memory.i32(ids, weight.rows).set(Int32Array.from({ length: weight.rows }, (_, i) => i));
  const out = memory.alloc(weight.rows * weight.columns * 4, "rows");
  embedRows(machine.thread(), out, weight, ids, 0, weight.rows);
  return memory.f32(out, weight.rows * weight.columns).slice();
}

/** Ranges of rows in multiples of `unit`, some random ones of `rows`. */
export function randomRanges(rows: number, unit: number, next: () => number): number[] {
  const ranges: number[] = [];
  for (let at = 0; at < rows; at += unit) {
    if (next() < 0.5) continue;
    const end = Math.min(at + unit, rows);
    if (ranges.at(-1) === at && next() < 0.8) ranges[ranges.length - 1] = end;
    else ranges.push(at, end);
  }
  return ranges;
}

/** The bits of `values` inside `ranges`, those of NaN elsewhere. */
export function within(values: Float32Array, ranges: readonly number[]): Uint32Array {
  const part = new Float32Array(values.length).fill(Number.NaN);
  for (let i = 0; i < ranges.length; i += 2) part.set(values.subarray(ranges[i], ranges[i + 1]), ranges[i]);
  return bitsOf(part);
}

export function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.slice().buffer);
}
