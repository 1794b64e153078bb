import { atOnce, type Steps } from "../platform/waiting.js";

/** Bytes between two yields: some milliseconds. */
const STEP = 4 * 2 ** 20;

/**
 * Two 32-bit hashes of bytes, for noticing damage (not for cryptography): words are mixed in as MurmurHash3 does (Austin
 * Appleby, public domain), with two seeds, and so is the length.
 */
export function* checksumSteps(bytes: Uint8Array): Steps<[low: number, high: number]> {
  let [a, b] = [0x9747b28c, 0x5bd1e995];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const whole = bytes.length & ~3;
  const mix = (word: number) => {
    let k = Math.imul(word, 0xcc9e2d51);
    k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
    a = (Math.imul(((a ^ k) << 13) | ((a ^ k) >>> 19), 5) + 0xe6546b64) | 0;
    b = (Math.imul(((b ^ k) << 17) | ((b ^ k) >>> 15), 9) + 0x38b34ae5) | 0;
  };
  for (let from = 0; from < whole; from += STEP) {
    if (from > 0) yield;
    for (let at = from; at < Math.min(from + STEP, whole); at += 4) mix(view.getUint32(at, true));
  }
  let rest = 0;
  for (let at = whole; at < bytes.length; at++) rest = (rest << 8) | (bytes[at] as number);
  mix(rest);
  mix(bytes.length);
  return [finish(a), finish(b)];
}

/** The same in one go. */
export function checksum(bytes: Uint8Array): [low: number, high: number] {
  return atOnce(checksumSteps(bytes));
}

function finish(hash: number): number {
  let h = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
