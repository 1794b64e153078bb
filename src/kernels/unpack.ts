import { fromBase64 } from "../platform/base64.js";
import { binaries } from "./binaries.js";
import { inflate } from "./inflate.js";

/** The bytes of one of the two builds inside the package, for shared memory. */
export function unpackKernels(family: "simd" | "relaxed"): Uint8Array<ArrayBuffer> {
  const { deflated, length } = binaries[family];
  const packed = decoded(deflated);
  // The same, faster where it can be had at once.
  const fast = zlib();
  const content = fast ? new Uint8Array(fast.inflateRawSync(packed)) : inflate(packed, length);
  return family === "simd" ? content : applyPatch(unpackKernels("simd"), content);
}

function decoded(text: string): Uint8Array {
  const { Buffer } = globalThis as { Buffer?: { from(text: string, encoding: "base64"): Uint8Array } };
  if (Buffer) return Buffer.from(text, "base64"); // Three milliseconds of the time to the first token.
  return fromBase64(text);
}

/** Node's own decompression, in runtimes that hand it out without an import. */
function zlib(): typeof import("node:zlib") | undefined {
  const { process } = globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } };
  return process?.getBuiltinModule?.("node:zlib") as typeof import("node:zlib") | undefined;
}

/** Makes one build of another and what is different; see scripts/build-kernels.mjs. */
function applyPatch(from: Uint8Array, patch: Uint8Array): Uint8Array<ArrayBuffer> {
  let read = 0;
  const number = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = patch[read++]!;
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  const out = new Uint8Array(number());
  const steps = Array.from({ length: number() }, () => [number(), number(), number()] as const);
  let at = 0;
  for (const [copied, source, inserted] of steps) {
    out.set(from.subarray(source, source + copied), at);
    at += copied;
    out.set(patch.subarray(read, read + inserted), at);
    at += inserted;
    read += inserted;
  }
  return out;
}
