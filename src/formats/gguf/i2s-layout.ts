import { FormatError } from "../../errors.js";
import type { I2SLayout, LayerTensors, ModelTensors, TensorInfo } from "../model-file.js";
import { readPlainValues } from "../plain-values.js";
import { I2S_TAIL_BYTES } from "./types.js";

// Three layouts share one type id, and nothing in the file says which one it has. A wrong one only permutes the
// columns of each matrix (or mixes four rows), so a matrix alone cannot tell. But training ties columns to things the
// layout does not touch: the norm in front of a matrix weights the same channels its columns read, and a channel with
// a small norm weight has more zeros. Only with the right layout do the zeros per column follow the norm weights.

/** Layers looked at, spread over the model. */
const LAYERS = 4;
/** Rows read per matrix: the first ones, whose bytes are the first ones in every layout. */
const ROWS = 128;
/**
 * Evidence needed. The score of a layout that means nothing is chi-squared with five degrees of freedom, hence above
 * 60 once in 10¹¹ files; the runner-up keeps about a sixteenth of the right one's score (a quarter of the columns stay
 * in place between block128 and block64).
 */
const LEAST_SCORE = 60;
const LEAST_RATIO = 3;

const layouts: readonly I2SLayout[] = ["block128", "block64", "rows4"];

/** A matrix and the norm whose channels its columns read. */
const pairs: readonly { matrix: keyof LayerTensors; norm: keyof LayerTensors }[] = [
  { matrix: "value", norm: "attentionNorm" },
  { matrix: "output", norm: "attentionSubNorm" },
  { matrix: "gate", norm: "ffnNorm" },
  { matrix: "up", norm: "ffnNorm" },
  { matrix: "down", norm: "ffnSubNorm" },
];

/** A layout and why it was chosen. */
export interface LayoutChoice {
  layout: I2SLayout;
  note: string;
}

/**
 * Tells the layout of a model's I2_S tensors from their bytes; `block128`, the official one, when they do not tell.
 * Undefined when the model has no such tensors.
 * @throws FormatError when a sampled byte holds the code 3, which no layout has.
 */
export async function chooseI2sLayout(tensors: ModelTensors, signal?: AbortSignal): Promise<LayoutChoice | undefined> {
  const layers = tensors.layers.filter((layer) => layer.down.type === "I2_S");
  if (layers.length === 0) return undefined;
  const scores = new Map<I2SLayout, number>(layouts.map((layout) => [layout, 0]));
  const sampled = spread(layers, LAYERS);
  for (const { matrix, norm } of pairs) {
    const sums = new Map<I2SLayout, number>(layouts.map((layout) => [layout, 0]));
    let count = 0;
    for (const layer of sampled) {
      const weights = layer[matrix];
      const normTensor = layer[norm];
      if (weights?.type !== "I2_S" || !normTensor) continue;
      const sample = await readSample(weights, signal);
      const normRanks = ranks((await readPlainValues(normTensor, signal)).map(Math.abs));
      count++;
      for (const layout of layouts) {
        const zeros = ranks(zerosPerColumn(sample.bytes, sample.columns, layout));
        sums.set(layout, (sums.get(layout) as number) + correlation(zeros, normRanks) * Math.sqrt(sample.columns - 1));
      }
    }
    // The sign of the relation is the model's, but the same in all its layers.
    for (const layout of layouts) {
      scores.set(layout, (scores.get(layout) as number) + (sums.get(layout) as number) ** 2 / Math.max(count, 1));
    }
  }
  return decide(scores);
}

/** @throws FormatError when the tensor is not made of whole blocks, or of whole groups of four rows. */
export function checkI2sShape(tensor: TensorInfo, layout: I2SLayout): void {
  const values = tensor.shape.reduce((product, length) => product * length, 1);
  const whole = layout === "rows4" ? (tensor.shape[0] as number) % 4 === 0 : values % Number(layout.slice(5)) === 0;
  if (tensor.shape.length === 2 && whole) return;
  throw new FormatError(`The shape [${tensor.shape.join(", ")}] cannot be stored in the I2_S layout ${layout}`, {
    file: tensor.source.name,
    offset: tensor.offset,
    tensor: tensor.name,
  });
}

function decide(scores: Map<I2SLayout, number>): LayoutChoice {
  const ordered = [...scores].sort(([, a], [, b]) => b - a);
  const [[best, score], [, second]] = ordered as [[I2SLayout, number], [I2SLayout, number]];
  const evidence = ordered.map(([layout, each]) => `${layout} ${each.toFixed(0)}`).join(", ");
  if (score >= LEAST_SCORE && score >= LEAST_RATIO * second) {
    return {
      layout: best,
      note: `I2_S layout ${best}: the zeros per column follow the norm weights best that way (scores: ${evidence})`,
    };
  }
  return {
    layout: "block128",
    note: `I2_S layout block128 assumed, the official one: the bytes do not tell (scores: ${evidence}). If the text is garbage, try i2sLayout "block64" or "rows4"`,
  };
}

function spread<T>(items: T[], count: number): T[] {
  if (items.length <= count) return items;
  return Array.from({ length: count }, (_, i) => items[Math.floor(((i + 0.5) * items.length) / count)] as T);
}

async function readSample(tensor: TensorInfo, signal?: AbortSignal): Promise<{ bytes: Uint8Array; columns: number }> {
  const [rows, columns] = tensor.shape as [number, number];
  const length = Math.min((ROWS * columns) / 4, tensor.byteLength - I2S_TAIL_BYTES, (rows * columns) / 4);
  const bytes = await tensor.source.read(tensor.offset, length, signal);
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    if ((byte & (byte >> 1) & 0x55) !== 0) {
      throw new FormatError(
        "The byte holds the code 3; ternary weights have the codes 0, 1 and 2",
        { file: tensor.source.name, offset: tensor.offset + i, tensor: tensor.name },
        "The file is damaged, or its type 36 is not I2_S",
      );
    }
  }
  return { bytes, columns };
}

/** How many weights of each column are zero, over the rows that `bytes` holds. */
export function zerosPerColumn(bytes: Uint8Array, columns: number, layout: I2SLayout): Int32Array {
  const counts = new Int32Array(columns);
  // Of the codes 0, 1 and 2 only that of zero is odd: no branch, which half the time would be mispredicted.
  if (layout === "rows4") {
    for (let i = 0, column = 0; i < bytes.length; i++) {
      const byte = bytes[i] as number;
      for (let shift = 0; shift < 8; shift += 2) counts[column] = (counts[column] as number) + ((byte >> shift) & 1);
      if (++column === columns) column = 0;
    }
    return counts;
  }
  const quarter = layout === "block128" ? 32 : 16;
  for (let block = 0; block < bytes.length; block += quarter) {
    // Rows may end inside a block.
    const first = (block * 4) % columns;
    for (let lane = 0; lane < 4; lane++) {
      const shift = 6 - 2 * lane;
      let column = (first + lane * quarter) % columns;
      for (let i = block; i < block + quarter && i < bytes.length; i++) {
        counts[column] = (counts[column] as number) + (((bytes[i] as number) >> shift) & 1);
        if (++column === columns) column = 0;
      }
    }
  }
  return counts;
}

/** Ranks from 0, equal values sharing the mean of theirs. */
function ranks(values: Float32Array | Int32Array): Float64Array {
  const sorted = values.slice().sort();
  const rankOf = new Map<number, number>();
  for (let start = 0; start < sorted.length; ) {
    const value = sorted[start] as number;
    let end = start + 1;
    while (end < sorted.length && sorted[end] === value) end++;
    rankOf.set(value, (start + end - 1) / 2);
    start = end;
  }
  return Float64Array.from(values, (value) => rankOf.get(value) ?? 0);
}

/** Pearson's correlation of two rank vectors; 0 when one of them is constant. */
function correlation(a: Float64Array, b: Float64Array): number {
  const mean = (a.length - 1) / 2;
  let ab = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < a.length; i++) {
    const x = (a[i] as number) - mean;
    const y = (b[i] as number) - mean;
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa > 0 && bb > 0 ? ab / Math.sqrt(aa * bb) : 0;
}
