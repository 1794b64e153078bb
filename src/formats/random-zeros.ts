import type { ModelConfig } from "../config.js";
import { OptionError } from "../errors.js";
import type { TensorType } from "./model-file.js";
import type { ByteSource } from "./source.js";

/** Columns in which all embeddings are equal and all gates have −1. */
const SHIFTED = 64;
/** Standard deviations of the codes −128 … 127 and −1, 0, 1. */
const EMBEDDING_DEVIATION = 73.9;
const TERNARY_DEVIATION = Math.sqrt(2 / 3);
/** Scales of ternary matrices, exact in 16 bits, which some formats have; outputs of a layer are small. */
const SCALE = 41 / 2 ** 11;
const SMALL_SCALE = 168 / 2 ** 24;
/** A prime number of bytes: repeated, it gives no two tensors or rows the same codes. */
const PATTERN = 1_048_583;

/**
 * Sources of random weights for a model of relu² of which about `share` of the gates are zero, other ones for every token and
 * layer: all embeddings have the same number in their first 64 columns, where all gates have the weight −1, which shifts
 * the gates' normal distribution below zero. Layers add next to nothing to the residual stream, so it stays that in all of
 * them. The share is what comes out, not what is assumed: `stats().ffn` counts it.
 * @throws OptionError for another activation, or a share outside 0.5 … 0.95
 */
export function zeroGateSources(config: ModelConfig, share: number) {
  const { activation, hidden } = config;
  if (activation !== "relu2") throw new OptionError("Only shapes with relu² have zero gates", { key: "ffnZeros" });
  if (!(share >= 0.5 && share <= 0.95))
    throw new OptionError(`A share of ${share} zero gates`, { key: "ffnZeros" }, "Give 0.5 to 0.95");
  const deviation = EMBEDDING_DEVIATION * TERNARY_DEVIATION * Math.sqrt(hidden - SHIFTED);
  const shift = Math.round((normalQuantile(share) * deviation) / SHIFTED);
  const codes = new Uint8Array(PATTERN);
  let state = 4711;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  };
  for (let i = 0; i < PATTERN; i++) codes[i] = random();
  const ternary = codes.map((byte) => TERNARY[byte] as number);
  let tensors = 0;
  return (name: string, type: TensorType, shape: readonly number[], size: number): ByteSource => {
    const start = (++tensors * 65_537) % PATTERN;
    const rowBytes = type === "I2_S" ? (shape[1] as number) / 4 : (hidden / 32) * 34;
    const gate = name.includes("ffn_gate");
    const small = name.includes("ffn_down") || name.includes("attn_output");
    const pattern = type === "I2_S" ? ternary : codes;
    const fill = (bytes: Uint8Array, offset: number, length: number) => {
      for (let at = 0; at < length; ) {
        const from = (start + offset + at) % PATTERN;
        const part = pattern.subarray(from, Math.min(PATTERN, from + length - at));
        bytes.set(part, at);
        at += part.length;
      }
    };
    return {
      name: "random weights",
      size,
      async read(offset, length, _signal, into) {
        const bytes = into ? into.subarray(0, length) : new Uint8Array(length);
        if (type === "F32") new Float32Array(bytes.buffer, bytes.byteOffset, length / 4).fill(1);
        else fill(bytes, offset, length);
        for (let at = 0; at < length && type === "Q8_0"; at++) {
          const inBlock = (offset + at) % 34;
          if (inBlock < 2) bytes[at] = inBlock === 0 ? 0 : 0x1c;
          else if ((offset + at) % rowBytes < (SHIFTED / 32) * 34) bytes[at] = shift;
        }
        // The two groups of 32 columns in the high bits of the first block.
        for (let at = 0; at < length && gate; at++)
          if ((offset + at) % rowBytes < 32) bytes[at] = (bytes[at] as number) & 15;
        if (type === "I2_S") putScale(bytes, size - 32 - offset, small ? SMALL_SCALE : SCALE);
        return bytes;
      },
    };
  };
}

/** Four codes 0, 1, 2 for each byte. */
const TERNARY = Array.from({ length: 256 }, (_, byte) => {
  let codes = 0;
  for (let i = 0, left = (byte * 2654435761) >>> 8; i < 4; i++, left = Math.floor(left / 3))
    codes |= (left % 3) << (2 * i);
  return codes;
});

function putScale(bytes: Uint8Array, at: number, scale: number): void {
  if (at >= 0 && at + 4 <= bytes.length) new DataView(bytes.buffer, bytes.byteOffset).setFloat32(at, scale, true);
}

/** Where the standard normal distribution reaches `share`. */
function normalQuantile(share: number): number {
  let [sum, x] = [0.5, 0];
  const step = 1e-4;
  for (; sum < share; x += step) sum += (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)) * step;
  return x;
}
