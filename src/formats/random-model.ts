import type { ModelConfig } from "../config.js";
import { OptionError } from "../errors.js";
import { architectureOf, type TensorSpec } from "../model/architectures/index.js";
import type { LayerTensors, LinearTensor, ModelFile, ModelTensors, TensorInfo, TensorType } from "./model-file.js";
import { zeroGateSources } from "./random-zeros.js";
import type { ByteSource } from "./source.js";

interface Shape {
  config: ModelConfig;
  weights: TensorType;
  embedding: TensorType;
}

const shape = (name: string, weights: TensorType, embedding: TensorType, config: Partial<ModelConfig>): Shape => ({
  weights,
  embedding,
  config: {
    architecture: "llama",
    name,
    layers: 0,
    hidden: 0,
    ffn: 0,
    heads: 0,
    kvHeads: 0,
    headDim: 64,
    vocab: 128256,
    contextLength: 8192,
    rmsNormEps: 1e-5,
    ropeTheta: 500000,
    activation: "silu",
    ...config,
  },
});

/** Public models by shape: BitNet-b1.58-2B-4T, Llama-3.2-1B, SmolLM2-135M; and a small BitNet, to try things out. */
const shapes: Record<string, Shape> = {
  "bitnet-2b": shape("random bitnet-2b", "I2_S", "Q8_0", {
    architecture: "bitnet",
    layers: 30,
    hidden: 2560,
    ffn: 6912,
    heads: 20,
    kvHeads: 5,
    headDim: 128,
    contextLength: 4096,
    activation: "relu2",
  }),
  "bitnet-tiny": shape("random bitnet-tiny", "I2_S", "Q8_0", {
    architecture: "bitnet",
    layers: 2,
    hidden: 512,
    ffn: 1024,
    heads: 8,
    kvHeads: 2,
    vocab: 2048,
    contextLength: 512,
    activation: "relu2",
  }),
  "llama-1b": shape("random llama-1b", "Q8_0", "Q8_0", {
    layers: 16,
    hidden: 2048,
    ffn: 8192,
    heads: 32,
    kvHeads: 8,
    contextLength: 131072,
  }),
  smollm2: shape("random smollm2", "Q8_0", "Q8_0", {
    layers: 30,
    hidden: 576,
    ffn: 1536,
    heads: 9,
    kvHeads: 3,
    vocab: 49152,
  }),
};

/**
 * A model of a public shape with random weights, made up as they are read: for measuring speed and memory, which do not
 * depend on the values, but for zero gates (random-zeros.ts).
 * @param name of the shape; `bitnet-2b:0.8` has a share of 0.8 zero gates
 * @throws OptionError for an unknown name, or a share outside 0.5 … 0.95
 */
export function openRandomModel(name: string): ModelFile {
  const [shapeName, share] = name.split(":") as [string, string?];
  const found = shapes[shapeName];
  if (!found)
    throw new OptionError(
      `There is no shape ${JSON.stringify(shapeName)}`,
      { key: "shape" },
      `Use ${Object.keys(shapes).join(", ")}`,
    );
  const { config, weights, embedding } = found;
  const zeros = share === undefined ? undefined : zeroGateSources(config, Number(share));
  const all: TensorInfo[] = [];
  const tensor = (tensorName: string, type: TensorType, dims: number[]): LinearTensor => {
    const byteLength = bytesOf(
      type,
      dims.reduce((a, b) => a * b, 1),
    );
    const info: LinearTensor = {
      name: tensorName,
      type,
      shape: dims,
      source: zeros ? zeros(tensorName, type, dims, byteLength) : randomSource(type, byteLength),
      offset: 0,
      byteLength,
    };
    if (type === "I2_S") info.i2sLayout = "block128";
    all.push(info);
    return info;
  };
  const architecture = architectureOf(config);
  const naming = (layer?: number) => (spec: TensorSpec) =>
    spec.gguf !== undefined && !spec.optional
      ? [
          [
            spec.role,
            tensor(
              layer === undefined ? spec.gguf : `blk.${layer}.${spec.gguf}`,
              spec.shape.length === 1 ? "F32" : layer === undefined ? embedding : weights,
              [...spec.shape],
            ),
          ],
        ]
      : [];
  const layers = Array.from(
    { length: config.layers },
    (_, layer) => Object.fromEntries(architecture.layer(config).flatMap(naming(layer))) as LayerTensors,
  );
  const outside = Object.fromEntries(architecture.model(config).flatMap(naming()));
  return {
    container: "gguf",
    name: `random:${name}`,
    config,
    tensors: { ...outside, layers } as ModelTensors,
    tokenizer: { kind: "bpe", pre: "llama-bpe", tokens: byteTokens(config.vocab), types: [], merges: [], eosIds: [] },
    metadata: new Map(),
    allTensors: all,
    notes: ["random weights: the text means nothing"],
    async close() {},
  };
}

const BLOCKS: Partial<Record<TensorType, [values: number, bytes: number]>> = { F32: [1, 4], Q8_0: [32, 34] };

function bytesOf(type: TensorType, values: number): number {
  if (type === "I2_S") return values / 4 + 32;
  const [perBlock, bytes] = BLOCKS[type] as [number, number];
  return (values / perBlock) * bytes;
}

/** Bytes that are valid for the type at any offset a whole block begins at; the same pattern again and again. */
function randomSource(type: TensorType, size: number): ByteSource {
  let state = 12345;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  };
  // Ternary codes 0, 1, 2 four to a byte; f16 scale 0x1c00 = 2⁻⁸ before 32 random weights; f32 1.0.
  const unit = type === "Q8_0" ? 34 : type === "F32" ? 4 : 1;
  const pattern = new Uint8Array(unit * 4096);
  for (let i = 0; i < pattern.length; i++) {
    if (type === "I2_S") for (let bits = 0; bits < 8; bits += 2) pattern[i]! |= (random() % 3) << bits;
    else if (type === "F32") pattern[i] = [0, 0, 0x80, 0x3f][i % 4] as number;
    else pattern[i] = i % 34 === 0 ? 0 : i % 34 === 1 ? 0x1c : random();
  }
  return {
    name: "random weights",
    size,
    async read(offset, length, _signal, into) {
      const bytes = into ? into.subarray(0, length) : new Uint8Array(length);
      for (let at = 0; at < length; ) {
        const start = (offset + at) % pattern.length;
        const part = pattern.subarray(start, Math.min(pattern.length, start + length - at));
        bytes.set(part, at);
        at += part.length;
      }
      // The f32 scale of an I2_S tensor stands after its codes: 0x3ca3d70a = 0.02.
      const scale = size - 32 - offset;
      if (type === "I2_S" && scale >= 0 && scale + 4 <= length)
        new DataView(bytes.buffer, bytes.byteOffset).setUint32(scale, 0x3ca3d70a, true);
      else if (type === "I2_S" && offset >= size - 32)
        new DataView(bytes.buffer, bytes.byteOffset).setUint32(0, 0x3ca3d70a, true);
      return bytes;
    },
  };
}

/** A byte-level vocabulary without merges, filled up with names. */
function byteTokens(vocab: number): string[] {
  const kept = (b: number) => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  const bytes = Array.from({ length: 256 }, (_, b) => b);
  const texts = [...bytes.filter(kept), ...bytes.filter((b) => !kept(b)).map((_, i) => 256 + i)].map((code) =>
    String.fromCodePoint(code),
  );
  return Array.from({ length: vocab }, (_, id) => texts[id] ?? `<${id}>`);
}
