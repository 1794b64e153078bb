import { binaries } from "./binaries.js";
import { inflate } from "./inflate.js";

/** The bytes of one of the two builds inside the package, for shared memory. */
export function unpackKernels(family: "simd" | "relaxed"): Uint8Array<ArrayBuffer> {
  const { deflated, length } = binaries[family];
  const text = atob(deflated);
  const packed = new Uint8Array(text.length);
  for (let i = 0; i < packed.length; i++) packed[i] = text.charCodeAt(i);
  // The same, faster where it can be had at once.
  const fast = zlib();
  const content = fast ? new Uint8Array(fast.inflateRawSync(packed)) : inflate(packed, length);
  return family === "simd" ? content : applyPatch(unpackKernels("simd"), content);
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
