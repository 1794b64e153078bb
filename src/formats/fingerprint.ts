import type { ModelFile } from "./model-file.js";

/** Bytes of each tensor that take part: weights of different models differ at once. */
const SAMPLE_BYTES = 64;

/** Tells models apart, as 16 hex digits: a hash over names, types, shapes and first bytes of all tensors. */
export async function fingerprint(file: ModelFile): Promise<string> {
  const encoder = new TextEncoder();
  const parts: Uint8Array[] = [];
  for (const { name, type, shape, source, offset, byteLength } of file.allTensors) {
    parts.push(encoder.encode(`${name} ${type} ${shape.join("x")}\n`));
    parts.push(await source.read(offset, Math.min(SAMPLE_BYTES, byteLength)));
  }
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  // Not `crypto.subtle`: a page that came without TLS from another machine has none.
  const digest = (await import("@noble/hashes/sha2.js")).sha256(all);
  return Array.from(digest.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Tells models apart, as 16 hex digits; the same for the same weights, whatever they were loaded from and with. */
export function modelFingerprint(model: { readonly file: ModelFile }): Promise<string> {
  return fingerprint(model.file);
}
