import { OptionError } from "../errors.js";
import { fromBase64 } from "../platform/base64.js";
import { invert } from "./symmetric.js";

/** Target sparsities at which a calibration holds thresholds: 0.05, 0.10 … 0.95. */
export const SPARSITIES: readonly number[] = Array.from({ length: 19 }, (_, i) => (i + 1) / 20);

/** In a recording, every query at a position one less than a multiple of this is kept. */
export const SAMPLE = 16;

/** What was measured on a calibration text, per layer and KV head; plain JSON. */
export interface Calibration {
  format: "deltallm-calibration";
  version: 1;
  /** Identifies the weights it was measured on. */
  model: string;
  layers: number;
  kvHeads: number;
  headDim: number;
  /** `heads[layer · kvHeads + kvHead]`. */
  heads: CalibratedHead[];
  /** What the maker of the file wants used when nothing else is said. */
  defaults?: CalibrationDefaults | undefined;
}

export interface CalibrationDefaults {
  /** Target sparsity, 0 … 1. */
  sparsity: number;
  grain: "element" | "chunk" | "row";
  basis: "raw" | "score";
}

/** One layer and KV head. */
export interface CalibratedHead {
  /** Step of the 7-bit grid per element of the key, raw basis. */
  rawSteps: number[];
  /** Middle of the grid per element of the key, raw basis (default 0): a key is kept as (k − centre) / step. */
  rawCenters?: number[] | undefined;
  /** The same in the score basis. */
  scoreSteps?: number[] | undefined;
  /** The same in the score basis; a constant taken from all keys changes no softmax. */
  scoreCenters?: number[] | undefined;
  /** Matrix A of the score basis, k' = A·k: row-major d × d little-endian f32 as base64. Queries take A⁻ᵀ. */
  basis?: string | undefined;
  /** What selective scoring needs; absent in older files. */
  select?: SelectionData | undefined;
  /** Thresholds by `grain/basis`, at the target sparsities 0.05, 0.10 … 0.95. */
  thresholds: Record<string, number[]>;
}

/** Selective scoring of one layer and KV head, see docs/delta-attention.md. */
export interface SelectionData {
  /** Leading elements of a key in the score basis. */
  lead: number;
  /** Mean of the other elements. */
  mean: number[];
  /** Their covariance: upper triangle by rows, little-endian f32 as base64. */
  covariance: string;
  /** Margins τ in logits at `SLOPES`. */
  margins: number[];
}

/** Slopes at which a calibration holds margins: what a completed share of keys may cost in error of the output. */
export const SLOPES: readonly number[] = [0.0025, 0.005, 0.01, 0.02, 0.04];

/** The upper triangle of a symmetric matrix, rounded to 12 bits: zeros make the file smaller where it is compressed. */
export function encodeTriangle(matrix: Float64Array): string {
  const n = Math.sqrt(matrix.length);
  const triangle: number[] = [];
  for (let i = 0; i < n; i++) for (let j = i; j < n; j++) triangle.push(rounded(matrix[i * n + j] as number));
  return encodeMatrix(Float64Array.from(triangle));
}

/** To 12 bits, after T. J. Dekker (1971). */
function rounded(x: number): number {
  const scaled = x * (2 ** 41 + 1);
  return scaled - (scaled - x);
}

/** The full symmetric matrix of an upper triangle. @throws OptionError when the text is none of that size */
export function decodeTriangle(text: string, n: number): Float64Array {
  const damaged = () => new OptionError("The calibration has damaged data of selective scoring", {}, "Calibrate again");
  const triangle = decodeNumbers(text, (n * (n + 1)) / 2);
  if (!triangle) throw damaged();
  const out = new Float64Array(n * n);
  let at = 0;
  for (let i = 0; i < n; i++)
    for (let j = i; j < n; j++, at++) out[i * n + j] = out[j * n + i] = triangle[at] as number;
  return out;
}

/** So many finite f32 numbers, or undefined. */
function decodeNumbers(text: string, count: number): Float64Array | undefined {
  let bytes: Uint8Array;
  try {
    bytes = fromBase64(text);
  } catch {
    return undefined;
  }
  if (bytes.length !== count * 4) return undefined;
  const view = new DataView(bytes.buffer);
  const numbers = Float64Array.from({ length: count }, (_, i) => view.getFloat32(i * 4, true));
  return numbers.every(Number.isFinite) ? numbers : undefined;
}

export function encodeMatrix(matrix: Float64Array): string {
  const bytes = new Uint8Array(matrix.length * 4);
  const view = new DataView(bytes.buffer);
  matrix.forEach((x, i) => {
    view.setFloat32(i * 4, x, true);
  });
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

/** The matrix and its inverse transpose. @throws OptionError when the text is no invertible d × d matrix */
export function decodeBasis(text: string, d: number): { basis: Float64Array; inverse: Float64Array } {
  const damaged = () => new OptionError("The calibration has a damaged score basis", {}, "Calibrate again");
  const basis = decodeNumbers(text, d * d);
  const turned = basis && invert(basis, d);
  if (!turned) throw damaged();
  return { basis, inverse: turned.map((_, at) => turned[(at % d) * d + Math.floor(at / d)] as number) };
}
