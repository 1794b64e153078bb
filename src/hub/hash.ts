import { nodeModules } from "../platform/node-modules.js";
import { platform } from "../platform/platform.js";

/** A hash that takes its input in pieces. */
export interface StreamingHash {
  update(bytes: Uint8Array): void;
  /** Hexadecimal digits. Ends the hash. */
  digest(): string;
}

/** SHA-256, or the SHA-1 that git gives a file of `size` bytes. */
export type HashKind = { kind: "sha256" } | { kind: "git"; size: number };

/** Starts a hash: with the runtime's own code where it can take pieces, which WebCrypto cannot. */
export async function startHash(kind: HashKind): Promise<StreamingHash> {
  const algorithm = kind.kind === "sha256" ? "sha256" : "sha1";
  const hash = platform === "browser" ? await portableHash(algorithm) : await nodeHash(algorithm);
  if (kind.kind === "git") hash.update(new TextEncoder().encode(`blob ${kind.size}\0`));
  return hash;
}

async function nodeHash(algorithm: "sha256" | "sha1"): Promise<StreamingHash> {
  const { createHash } = await nodeModules.crypto();
  const hash = createHash(algorithm);
  return {
    update(bytes) {
      hash.update(bytes);
    },
    digest: () => hash.digest("hex"),
  };
}

/** Exported for its test. */
export async function portableHash(algorithm: "sha256" | "sha1"): Promise<StreamingHash> {
  const hash =
    algorithm === "sha256"
      ? (await import("@noble/hashes/sha2.js")).sha256.create()
      : (await import("@noble/hashes/legacy.js")).sha1.create();
  return {
    update(bytes) {
      hash.update(bytes);
    },
    digest: () => Array.from(hash.digest(), (byte) => byte.toString(16).padStart(2, "0")).join(""),
  };
}
