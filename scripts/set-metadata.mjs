// Sets metadata of a GGUF file, which is written anew beside it and then takes its place; weights stay as they are.
//   node scripts/set-metadata.mjs FILE.gguf general.license=mit general.sampling.temp=f32:0.5 general.sampling.top_k=i32:40
import { readFileSync, renameSync, writeFileSync } from "node:fs";

const [file, ...assignments] = process.argv.slice(2);
if (!file || assignments.length === 0) {
  console.error("Give a GGUF file and key=value, key=f32:number or key=i32:number");
  process.exit(2);
}
const TYPES = { u8: 0, u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 };
const SIZES = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };
const bytes = readFileSync(file);
if (bytes.toString("latin1", 0, 4) !== "GGUF" || bytes.readUInt32LE(4) !== 3)
  throw new Error(`${file}: not GGUF version 3`);

let at = 8;
const count = () => {
  at += 8;
  return Number(bytes.readBigUInt64LE(at - 8));
};
const word = () => {
  at += 4;
  return bytes.readUInt32LE(at - 4);
};
const skipString = () => {
  const length = count();
  at += length;
};
const skipValue = (type) => {
  if (type === TYPES.string) skipString();
  else if (type === TYPES.array) {
    const of = word();
    for (let left = count(); left > 0; left--) skipValue(of);
  } else at += SIZES[type];
};
const tensors = count();
const entries = new Map();
for (let left = count(); left > 0; left--) {
  const length = count();
  const key = bytes.toString("utf8", at, at + length);
  at += length;
  const start = at;
  skipValue(word());
  entries.set(key, bytes.subarray(start, at));
}
const infos = at;
for (let left = tensors; left > 0; left--) {
  skipString();
  at += 4 + 8 * bytes.readUInt32LE(at) + 4 + 8;
}
const alignment = entries.get("general.alignment")?.readUInt32LE(4) ?? 32;
const data = Math.ceil(at / alignment) * alignment;

for (const assignment of assignments) {
  const [, key, type = "string", value] = /^([\w.]+)=(?:(f32|i32|bool):)?(.*)$/s.exec(assignment) ?? [];
  if (!key) throw new Error(`${assignment} is not key=value`);
  const head = Buffer.alloc(type === "string" ? 12 : 8);
  head.writeUInt32LE(TYPES[type], 0);
  if (type === "f32") head.writeFloatLE(Number(value), 4);
  if (type === "i32") head.writeInt32LE(Number(value), 4);
  if (type === "bool") head.writeUInt8(value === "true" ? 1 : 0, 4);
  const text = Buffer.from(value);
  if (type === "string") head.writeBigUInt64LE(BigInt(text.length), 4);
  entries.set(key, type === "string" ? Buffer.concat([head, text]) : head.subarray(0, type === "bool" ? 5 : 8));
}
const u64 = (number) => {
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(BigInt(number));
  return out;
};
const parts = [bytes.subarray(0, 8), u64(tensors), u64(entries.size)];
for (const [key, value] of entries) parts.push(u64(Buffer.byteLength(key)), Buffer.from(key), value);
parts.push(bytes.subarray(infos, at));
const length = parts.reduce((sum, part) => sum + part.length, 0);
parts.push(Buffer.alloc(Math.ceil(length / alignment) * alignment - length), bytes.subarray(data));
writeFileSync(`${file}.part`, Buffer.concat(parts));
renameSync(`${file}.part`, file);
