import { open, rename, rm } from "node:fs/promises";
import { I2S_TAIL_BYTES } from "#src/formats/gguf/types.js";
import type { ModelFile, TensorInfo } from "#src/formats/model-file.js";

const typeIds = { F32: 0, Q4_0: 2, Q8_0: 8, TQ2_0: 35, I2_S: 36 };

/** Types the matrices of layers can have in a file, by that of the random model. */
export const fileTypes = {
  /** Of llama.cpp, and of bitnet.cpp. */
  I2_S: ["TQ2_0", "I2_S"],
  /** The same weights, and the upper four bits of each. */
  Q8_0: ["Q8_0", "Q4_0"],
} as const;
export type FileType = (typeof fileTypes)[keyof typeof fileTypes][number];
const ALIGNMENT = 32;
/** Bytes read at a time: whole blocks of every type. */
const PIECE = 1 << 20;

/**
 * Writes a model to a GGUF file that its engines read, piece by piece, to a temporary name that becomes `path` at the end.
 * The weights of both types are the same. llama.cpp's name for BitNet is `bitnet`, where relu² must be said (llama.cpp itself
 * computes SiLU there, at the same speed), bitnet.cpp's is `bitnet-b1.58`.
 */
export async function writeGguf(model: ModelFile, path: string, as: FileType): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  const file = await open(temporary, "wx");
  try {
    await file.write(header(model, as));
    for (const tensor of model.allTensors) {
      let written = 0;
      for await (const bytes of contents(tensor, as)) {
        await file.write(bytes);
        written += bytes.length;
      }
      await file.write(new Uint8Array(padded(written) - written));
    }
    await file.sync();
    await file.close();
    await rename(temporary, path);
  } catch (error) {
    await file.close().catch(() => {});
    await rm(temporary, { force: true });
    throw error;
  }
}

const padded = (length: number) => Math.ceil(length / ALIGNMENT) * ALIGNMENT;
const inFile = ({ type, name }: TensorInfo, as: FileType) =>
  (type === "F32" || name === "token_embd.weight" ? type : as) as keyof typeof typeIds;

function sizeInFile(tensor: TensorInfo, as: FileType): number {
  const type = inFile(tensor, as);
  if (type === "TQ2_0") return ((tensor.byteLength - I2S_TAIL_BYTES) / 64) * 66;
  return type === "Q4_0" ? (tensor.byteLength / 34) * 18 : tensor.byteLength;
}

async function* contents(tensor: TensorInfo, as: FileType): AsyncGenerator<Uint8Array> {
  const { type, source, byteLength } = tensor;
  const to = inFile(tensor, as);
  // Blocks of 34 bytes are read whole.
  const piece = type === "Q8_0" ? 34 * (PIECE / 32) : PIECE;
  const tail = type === "I2_S" ? I2S_TAIL_BYTES : 0;
  const end = byteLength - tail;
  const last = await source.read(end, tail);
  const scale = tail === 0 ? 0 : halfOf(new DataView(last.buffer, last.byteOffset).getFloat32(0, true));
  for (let at = 0; at < end; at += piece) {
    const bytes = await source.read(at, Math.min(piece, end - at));
    yield to === "TQ2_0" ? toTq2(bytes, scale) : to === "Q4_0" ? toQ4(bytes) : bytes;
  }
  if (to === "I2_S") yield last;
}

/** I2_S has the first of four groups of 32 weights in the highest bits, TQ2_0 in the lowest; and a scale after 64 bytes. */
function toTq2(codes: Uint8Array, scale: number): Uint8Array {
  const out = new Uint8Array((codes.length / 64) * 66);
  for (let from = 0, to = 0; from < codes.length; from += 64, to += 2) {
    for (let i = 0; i < 64; i++) out[to++] = reversed[codes[from + i] as number] as number;
    out[to] = scale & 255;
    out[to + 1] = scale >> 8;
  }
  return out;
}

/** 8-bit blocks of 32 weights to 4-bit ones: c / 16 rounded down, with 16 times the scale 2⁻⁸ that random weights have. */
function toQ4(blocks: Uint8Array): Uint8Array {
  const out = new Uint8Array((blocks.length / 34) * 18);
  for (let from = 0, to = 0; from < blocks.length; from += 34, to += 18) {
    out[to + 1] = 0x2c;
    const code = (i: number) => ((blocks[from + 2 + i] as number) + 128) & 255;
    for (let i = 0; i < 16; i++) out[to + 2 + i] = (code(i) >> 4) | (code(i + 16) & 0xf0);
  }
  return out;
}

const reversed = Uint8Array.from({ length: 256 }, (_, b) => (b << 6) | ((b & 12) << 2) | ((b >> 2) & 12) | (b >> 6));

/** The bits of the nearest number of 16 bits, of a positive number below 1. */
function halfOf(x: number): number {
  const exponent = Math.max(-14, Math.floor(Math.log2(x)));
  const fraction = Math.round((x / 2 ** exponent) * 1024);
  return fraction < 1024 ? fraction : fraction - 1024 + ((exponent + 15) << 10);
}

function header(model: ModelFile, as: FileType): Uint8Array {
  const parts: Uint8Array[] = [];
  const u32 = (value: number) => parts.push(new Uint8Array(Uint32Array.of(value).buffer));
  const u64 = (value: number) => parts.push(new Uint8Array(BigUint64Array.of(BigInt(value)).buffer));
  const text = (value: string) => {
    const bytes = new TextEncoder().encode(value);
    u64(bytes.length);
    parts.push(bytes);
  };
  const entries = metadata(model, as);
  parts.push(new TextEncoder().encode("GGUF"));
  u32(3);
  u64(model.allTensors.length);
  u64(entries.length);
  for (const [key, value] of entries) {
    text(key);
    if (typeof value === "string") {
      u32(8);
      text(value);
    } else if (typeof value === "boolean") {
      u32(7);
      parts.push(Uint8Array.of(Number(value)));
    } else if (value instanceof Float32Array) {
      u32(6);
      parts.push(new Uint8Array(value.buffer));
    } else if (typeof value === "number") {
      u32(4);
      u32(value);
    } else {
      u32(9);
      const strings = typeof value[0] === "string";
      u32(strings ? 8 : 5);
      u64(value.length);
      for (const each of value) if (typeof each === "string") text(each);
      if (!strings) parts.push(new Uint8Array(Int32Array.from(value as number[]).buffer));
    }
  }
  let offset = 0;
  for (const tensor of model.allTensors) {
    text(tensor.name);
    u32(tensor.shape.length);
    for (const length of tensor.shape.toReversed()) u64(length);
    u32(typeIds[inFile(tensor, as)]);
    u64(offset);
    offset += padded(sizeInFile(tensor, as));
  }
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const bytes = new Uint8Array(padded(length));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

type Value = string | number | boolean | Float32Array | readonly string[] | readonly number[];

function metadata({ config, name, tokenizer }: ModelFile, as: FileType): [key: string, value: Value][] {
  const bitnet = config.architecture === "bitnet";
  const arch = !bitnet ? config.architecture : as === "I2_S" ? "bitnet-b1.58" : "bitnet";
  // llama.cpp wants merges. The pairs of letters replace names at the end, the last two tokens begin and end a text.
  const tokens = [...tokenizer.tokens];
  const letters = [..."abcdefghijklmnopqrstuvwxyz"];
  const pairs = letters.flatMap((a) => letters.map((b) => [a, b] as const)).slice(0, Math.max(0, tokens.length - 258));
  pairs.forEach(([a, b], i) => {
    tokens[256 + i] = a + b;
  });
  tokens.splice(-2, 2, "<|begin_of_text|>", "<|end_of_text|>");
  const own: [string, Value][] = [
    ["context_length", config.contextLength],
    ["embedding_length", config.hidden],
    ["block_count", config.layers],
    ["feed_forward_length", config.ffn],
    ["attention.head_count", config.heads],
    ["attention.head_count_kv", config.kvHeads],
    ["attention.layer_norm_rms_epsilon", Float32Array.of(config.rmsNormEps)],
    ["rope.freq_base", Float32Array.of(config.ropeTheta)],
    ["rope.dimension_count", config.headDim],
    ["vocab_size", config.vocab],
  ];
  return [
    ["general.architecture", arch],
    ["general.name", name],
    ...own.map(([key, value]): [string, Value] => [`${arch}.${key}`, value]),
    ...(bitnet ? [[`${arch}.hidden_activation`, config.activation] as [string, Value]] : []),
    ["tokenizer.ggml.model", "gpt2"],
    ["tokenizer.ggml.pre", tokenizer.pre ?? "llama-bpe"],
    ["tokenizer.ggml.tokens", tokens],
    ["tokenizer.ggml.token_type", tokens.map((_, id) => (id < tokens.length - 2 ? 1 : 3))],
    ["tokenizer.ggml.merges", pairs.map(([a, b]) => `${a} ${b}`)],
    ["tokenizer.ggml.bos_token_id", tokens.length - 2],
    ["tokenizer.ggml.eos_token_id", tokens.length - 1],
    ["tokenizer.ggml.add_bos_token", true],
  ];
}
