import type { ModelConfig } from "../config.js";
import type { Kernels } from "../kernels/generated.js";
import { type CalibratedHead, decodeBasis } from "./calibration.js";
import type { PagePool, PoolPage } from "./pages.js";
import type { CachePolicy, SelectPolicy } from "./policy.js";

const round64 = (bytes: number) => Math.ceil(bytes / 64) * 64;

/** Where the maps to and from the grid of each layer and KV head are; offsets are from the head's own start. */
export interface GridDescriptor {
  readonly address: number;
  /** Bytes per layer and KV head; the map of the keys comes first. */
  readonly stride: number;
  /** 1: maps are d constants and a d × d matrix, 0: d factors. */
  readonly matrix: 0 | 1;
  readonly queryMap: number;
  /** f32 [d], squared grid steps. */
  readonly squares: number;
  /** u8 [d], largest difference of codes that is dropped. */
  readonly limits: number;
  /** What `attention_thresholds` reads. */
  readonly selection: number;
}

/** What forks of a cache share and never change. */
export interface SharedConstants {
  readonly page: PoolPage;
  readonly windowStarts: number;
  readonly expandTable: number;
  readonly grid: GridDescriptor | undefined;
}

/** Lays out window starts, the table of bit expansions, and the grid. @throws MemoryError */
export function makeConstants(
  pool: PagePool,
  kernels: Kernels,
  config: ModelConfig,
  contextLength: number,
  policy: CachePolicy,
): SharedConstants {
  const { headDim, kvHeads, layers } = config;
  const slots = layers * kvHeads;
  const windowBytes = policy.delta ? round64(contextLength * 4) : 0;
  const tableBytes = policy.delta ? 8192 : 0;
  const matrix = policy.basis === "score" ? 1 : 0;
  const mapBytes = (matrix ? headDim + 1 : 2) * headDim * 4;
  const rest = headDim - (policy.select?.lead ?? headDim);
  const selection = Math.ceil((2 * mapBytes + headDim * 5) / 16) * 16;
  const stride = round64(selection + (rest && 16 + 4 * (rest + rest * rest)));
  const gridBytes = policy.grid ? slots * stride : 0;
  const page = pool.describe(pool.take(windowBytes + tableBytes + gridBytes));
  const { memory } = pool;
  const start = page.address;
  const expandTable = start + windowBytes;
  if (policy.delta) {
    const starts = memory.i32(start, contextLength);
    for (let position = 0; position < contextLength; position++) starts[position] = policy.windowStart(position);
    kernels.expand_table(expandTable);
  }
  if (!policy.grid) return { page, windowStarts: start, expandTable, grid: undefined };
  const address = expandTable + tableBytes;
  const grid: GridDescriptor = {
    address,
    stride,
    matrix,
    queryMap: mapBytes,
    squares: 2 * mapBytes,
    limits: 2 * mapBytes + headDim * 4,
    selection,
  };
  policy.grid.forEach((head, index) => {
    const score = matrix ? decodeBasis(head.basis ?? "", headDim) : undefined;
    const at = address + index * stride;
    const steps = matrix ? (head.scoreSteps as number[]) : head.rawSteps;
    const keyMap = memory.f32(at, mapBytes / 4);
    const queryMap = memory.f32(at + mapBytes, mapBytes / 4);
    const squares = memory.f32(at + grid.squares, headDim);
    const limits = memory.u8(at + grid.limits, headDim);
    if (policy.select)
      writeSelection(memory.f32(at + selection, 4 + rest + rest * rest), policy.select, index, steps, head);
    const theta = policy.thresholds[index] ?? 0;
    for (let i = 0; i < headDim; i++) {
      const step = steps[i] as number;
      squares[i] = step * step;
      limits[i] = Math.min(127, Math.floor(theta / step));
      if (score) {
        keyMap[i] = -(head.scoreCenters?.[i] ?? 0) / step;
        for (let j = 0; j < headDim; j++) {
          const place = headDim + blocked(i, j, headDim, 16);
          keyMap[place] = (score?.basis[i * headDim + j] as number) / step;
          queryMap[place] = (score?.inverse[i * headDim + j] as number) * step;
        }
      } else {
        keyMap[i] = 1 / step;
        keyMap[headDim + i] = -(head.rawCenters?.[i] ?? 0) / step;
        queryMap[i] = step;
        queryMap[headDim + i] = 0;
      }
    }
  });
  return { page, windowStarts: start, expandTable, grid };
}

/** Where element [row][column] of a matrix stored [rows / size][columns][size] is. */
function blocked(row: number, column: number, columns: number, size: number): number {
  return (Math.floor(row / size) * columns + column) * size + (row % size);
}

/** Margin, mean and covariance of a slot in units of codes. */
function writeSelection(
  out: Float32Array,
  { lead, deviations, slots }: SelectPolicy,
  slot: number,
  steps: readonly number[],
  { scoreCenters }: CalibratedHead,
): void {
  const { margin, mean, covariance } = slots[slot] as SelectPolicy["slots"][number];
  const rest = steps.length - lead;
  out[0] = margin;
  out[1] = deviations;
  for (let i = 0; i < rest; i++) {
    const step = steps[lead + i] as number;
    out[4 + i] = ((mean[i] as number) - (scoreCenters?.[lead + i] ?? 0)) / step;
    for (let j = 0; j < rest; j++)
      out[4 + rest + blocked(j, i, rest, 8)] =
        (covariance[i * rest + j] as number) / (step * (steps[lead + j] as number));
  }
}
