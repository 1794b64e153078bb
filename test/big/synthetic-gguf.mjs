// GGUF files with the shapes, tensor names, types and metadata of two published models, and random weights: for what
// depends on sizes and names, not on values.
import { closeSync, openSync, writeSync } from "node:fs";

/** The published files this imitates: `ggml-model-i2_s.gguf` of Microsoft, and a Q8_0 of Meta's model. */
export const models = {
  "BitNet-b1.58-2B-4T": {
    architecture: "bitnet-b1.58",
    name: "bitnet2b",
    fileType: 40,
    layers: 30,
    hidden: 2560,
    ffn: 6912,
    heads: 20,
    kvHeads: 5,
    context: 4096,
    weights: "I2_S",
    embedding: "F16",
    tokenizer: [
      ["tokenizer.ggml.eos_token_id", "u32", 128001],
      ["tokenizer.ggml.padding_token_id", "u32", 128001],
      // As the converter wrote it, and wrong.
      [
        "tokenizer.chat_template",
        "string",
        "{% for message in messages %}{% if loop.first %}{{ bos_token }}{% endif %}{% if message['role'] == 'user' %}{{ 'Human: ' + message['content'] + '\\n\\nBITNETAssistant: ' + eos_token }}{% endif %}{% endfor %}",
      ],
    ],
  },
  "Llama-3.2-1B-Instruct": {
    architecture: "llama",
    name: "Llama 3.2 1B Instruct",
    fileType: 7,
    layers: 16,
    hidden: 2048,
    ffn: 8192,
    heads: 32,
    kvHeads: 8,
    context: 131072,
    weights: "Q8_0",
    embedding: "Q8_0",
    ropeFactors: [...Array(15).fill(1), 1.6513, 3.2923, 9.6667, ...Array(14).fill(32)],
    tokenizer: [
      ["tokenizer.ggml.pre", "string", "llama-bpe"],
      ["tokenizer.ggml.eos_token_id", "u32", 128009],
      [
        "tokenizer.chat_template",
        "string",
        "{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}",
      ],
    ],
  },
};

const VOCABULARY = 128256;
const FIRST_SPECIAL = 128000;
const MERGES = 280147;

/** Writes one of `models`; returns its size in bytes. */
export function writeModel(path, model) {
  const tensors = tensorsOf(model);
  const header = headerOf(model, tensors);
  const file = openSync(path, "w");
  try {
    let written = writeSync(file, header);
    for (const tensor of tensors) written += writeTensor(file, tensor);
    return written;
  } finally {
    closeSync(file);
  }
}

/** name → [id in the file, values per block, bytes per block] */
const types = { F32: [0, 1, 4], F16: [1, 1, 2], Q8_0: [8, 32, 34], I2_S: [36, 4, 1] };
const aligned = (bytes) => Math.ceil(bytes / 32) * 32;

function tensorsOf({ layers, hidden, ffn, heads, kvHeads, weights, embedding, ropeFactors, architecture }) {
  const keyValue = (hidden / heads) * kvHeads;
  const subNorms = architecture === "bitnet-b1.58";
  const tensors = [];
  let offset = 0;
  const add = (name, type, ...shape) => {
    const [id, values, bytes] = types[type];
    const size = (shape.reduce((a, b) => a * b) / values) * bytes + (type === "I2_S" ? 32 : 0);
    tensors.push({ name, type, id, shape, size, offset });
    offset += aligned(size);
  };
  if (ropeFactors) add("rope_freqs.weight", "F32", ropeFactors.length);
  add("token_embd.weight", embedding, hidden, VOCABULARY);
  for (let layer = 0; layer < layers; layer++) {
    const at = `blk.${layer}`;
    add(`${at}.attn_norm.weight`, "F32", hidden);
    if (subNorms) add(`${at}.attn_sub_norm.weight`, "F32", hidden);
    if (subNorms) add(`${at}.ffn_sub_norm.weight`, "F32", ffn);
    add(`${at}.ffn_down.weight`, weights, ffn, hidden);
    add(`${at}.ffn_gate.weight`, weights, hidden, ffn);
    add(`${at}.ffn_up.weight`, weights, hidden, ffn);
    add(`${at}.ffn_norm.weight`, "F32", hidden);
    add(`${at}.attn_k.weight`, weights, hidden, keyValue);
    add(`${at}.attn_output.weight`, weights, hidden, hidden);
    add(`${at}.attn_q.weight`, weights, hidden, hidden);
    add(`${at}.attn_v.weight`, weights, hidden, keyValue);
  }
  add("output_norm.weight", "F32", hidden);
  for (const tensor of tensors) tensor.values = tensor.name === "rope_freqs.weight" ? ropeFactors : undefined;
  return tensors;
}

function headerOf(model, tensors) {
  const { architecture, hidden, heads, tokenizer } = model;
  const key = (name) => `${architecture}.${name}`;
  const { tokens, merges } = vocabulary();
  const entries = [
    ["general.architecture", "string", architecture],
    ["general.name", "string", model.name],
    [key("block_count"), "u32", model.layers],
    [key("context_length"), "u32", model.context],
    [key("embedding_length"), "u32", hidden],
    [key("feed_forward_length"), "u32", model.ffn],
    [key("attention.head_count"), "u32", heads],
    [key("attention.head_count_kv"), "u32", model.kvHeads],
    [key("rope.freq_base"), "f32", 500000],
    [key("attention.layer_norm_rms_epsilon"), "f32", 1e-5],
    [key("vocab_size"), "u32", VOCABULARY],
    [key("rope.dimension_count"), "u32", hidden / heads],
    ["general.file_type", "u32", model.fileType],
    ["general.quantization_version", "u32", 2],
    ["tokenizer.ggml.model", "string", "gpt2"],
    ["tokenizer.ggml.tokens", "strings", tokens],
    ["tokenizer.ggml.token_type", "i32s", tokens.map((_, id) => (id < FIRST_SPECIAL ? 1 : 3))],
    ["tokenizer.ggml.merges", "strings", merges],
    ["tokenizer.ggml.bos_token_id", "u32", 128000],
    ["tokenizer.ggml.add_bos_token", "bool", true],
    ...tokenizer,
  ];
  const u32 = (value) => Buffer.from(Uint32Array.of(value).buffer);
  const u64 = (value) => Buffer.from(BigUint64Array.of(BigInt(value)).buffer);
  const text = (value) => {
    const bytes = Buffer.from(value);
    return Buffer.concat([u64(bytes.length), bytes]);
  };
  const write = {
    u32: (value) => [u32(4), u32(value)],
    f32: (value) => [u32(6), Buffer.from(Float32Array.of(value).buffer)],
    bool: (value) => [u32(7), Buffer.of(value ? 1 : 0)],
    string: (value) => [u32(8), text(value)],
    strings: (list) => [u32(9), u32(8), u64(list.length), ...list.map(text)],
    i32s: (list) => [u32(9), u32(5), u64(list.length), Buffer.from(Int32Array.from(list).buffer)],
  };
  const bytes = Buffer.concat([
    Buffer.from("GGUF"),
    u32(3),
    u64(tensors.length),
    u64(entries.length),
    ...entries.flatMap(([name, kind, value]) => [text(name), ...write[kind](value)]),
    ...tensors.flatMap(({ name, shape, id, offset }) => [
      text(name),
      u32(shape.length),
      ...shape.map(u64),
      u32(id),
      u64(offset),
    ]),
  ]);
  return Buffer.concat([bytes, Buffer.alloc(aligned(bytes.length) - bytes.length)]);
}

/** As many tokens and merges as Llama 3 has, all made of lower-case letters, and its special tokens. */
function vocabulary() {
  const printable = (byte) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
  let moved = 256;
  const tokens = [...Array(256).keys()]
    .sort((a, b) => Number(printable(b)) - Number(printable(a)) || a - b)
    .map((byte) => String.fromCodePoint(printable(byte) ? byte : moved++));
  const merges = [];
  const letters = [..."abcdefghijklmnopqrstuvwxyz"];
  let last = letters;
  for (let length = 2; tokens.length < FIRST_SPECIAL; length++) {
    const longer = [];
    for (const start of last)
      for (const letter of letters) {
        const token = start + letter;
        if (tokens.length === FIRST_SPECIAL) break;
        tokens.push(token);
        longer.push(token);
        for (let at = length - 1; at > 0 && (merges.length < MERGES || at === length - 1); at--)
          merges.push(`${token.slice(0, at)} ${token.slice(at)}`);
      }
    last = longer;
  }
  const named = { 0: "begin_of_text", 1: "end_of_text", 6: "start_header_id", 7: "end_header_id" };
  Object.assign(named, { 8: "eom_id", 9: "eot_id" });
  for (let id = 0; tokens.length < VOCABULARY; id++) tokens.push(`<|${named[id] ?? `reserved_special_token_${id}`}|>`);
  return { tokens, merges };
}

let state = 12345;
const random = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state >>> 8;
};
const samples = new Map();

/** Some MiB of whole blocks of a type, used again and again. */
function sample(type) {
  const known = samples.get(type);
  if (known) return known;
  const [, , size] = types[type];
  const bytes = Buffer.alloc(size * (type === "Q8_0" ? 1 << 16 : 1 << 20));
  for (let at = 0; at < bytes.length; at += size) {
    if (type === "F32") bytes.writeFloatLE(1, at);
    else if (type === "F16")
      bytes.writeUInt16LE(0x2000 | (random() & 0x83ff), at); // ± 2⁻⁷ … 2⁻⁶
    else if (type === "I2_S") for (let bits = 0; bits < 8; bits += 2) bytes[at] |= (random() % 3) << bits;
    else {
      bytes.writeUInt16LE(0x0c00, at); // 2⁻¹²
      for (let i = 2; i < size; i++) bytes[at + i] = random();
    }
  }
  samples.set(type, bytes);
  return bytes;
}

function writeTensor(file, { type, size, values }) {
  if (values) return writeSync(file, Buffer.from(Float32Array.from(values).buffer));
  const codes = type === "I2_S" ? size - 32 : size;
  const bytes = sample(type);
  let written = 0;
  while (written < codes) written += writeSync(file, bytes, 0, Math.min(bytes.length, codes - written));
  const rest = Buffer.alloc(aligned(size) - codes);
  if (type === "I2_S") rest.writeFloatLE(1, 0); // the scale of the tensor lies behind its codes
  return written + writeSync(file, rest);
}
