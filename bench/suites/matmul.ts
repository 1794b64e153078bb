import { createRandom } from "#src/eval/statistics/random.js";
import type { KernelFamily } from "#src/kernels/choose.js";
import { instantiateKernels, kernelModule } from "#src/kernels/instantiate.js";
import { activationBytes } from "#src/matmul/activations.js";
import type { DotChoice } from "#src/matmul/dots.js";
import { layouts } from "#src/matmul/layouts/index.js";
import type { LayoutName } from "#src/matmul/layouts/layout.js";
import { matmul } from "#src/matmul/matmul.js";
import type { Weight } from "#src/matmul/weight.js";
import { Memory } from "#src/memory/memory.js";
import { makeThread, RECORD_BYTES, type Thread } from "#src/threads/thread.js";
import type { Case, Environment, Group, Suite } from "../harness/suite.js";

/** Tokens of a GEMM. */
const TOKENS = 64;
/** Together the copies of a matrix exceed any cache: weights come from memory, as in a model. */
const STREAMED = 64e6;

/** Rows × columns: BitNet-2B's gate and up, down, and keys; the last also fits caches. */
const ternaryShapes: Record<Environment["size"], readonly (readonly [rows: number, columns: number])[]> = {
  smoke: [[64, 128]],
  quick: [
    [6912, 2560],
    [2560, 6912],
    [640, 2560],
  ],
  full: [
    [6912, 2560],
    [2560, 6912],
    [2560, 2560],
    [640, 2560],
    [1536, 576],
  ],
};

/** Shares of zero codes. */
const zeros: Record<Environment["size"], readonly number[]> = {
  smoke: [0.33],
  quick: [0.33, 0.8],
  full: [0, 0.33, 0.5, 0.65, 0.8, 0.95],
};

const otherShapes: readonly (readonly [layout: LayoutName, rows: number, columns: number])[] = [
  ["q8", 8192, 2048],
  ["q6", 8192, 2048],
  ["q4", 8192, 2048],
  ["q4min", 8192, 2048],
  ["q4k", 8192, 2048],
  ["codes", 8192, 2048],
  ["f16", 6912, 2560],
  ["bf16", 6912, 2560],
  ["f32", 6912, 2560],
];

interface Variant {
  name: string;
  family: KernelFamily;
  dots: DotChoice;
  layout?: LayoutName;
}

/** Ternary kernels that run here: the relaxed build has two, chosen by a race at start-up; the simd build one per layout. */
function variants(families: readonly KernelFamily[]): Variant[] {
  const all: Variant[] = [
    { name: "simd", family: "simd", dots: { gemv: 0, gemm: 0 }, layout: "ternary-lut" },
    { name: "simd, 16-bit dot", family: "simd", dots: { gemv: 0, gemm: 0 } },
    { name: "relaxed, 16-bit dot", family: "relaxed", dots: { gemv: 0, gemm: 0 } },
    { name: "relaxed, 32-bit dot", family: "relaxed", dots: { gemv: 1, gemm: 1 } },
  ];
  return all.filter(({ family }) => families.includes(family));
}

/** Copies of a matrix, and what a product needs, in one memory for all kernel families. */
function rig(layout: LayoutName, rows: number, columns: number, tokens: number, streamed: number) {
  const memory = new Memory({ shared: false });
  const bytes = Math.ceil(rows / 8) * layouts[layout].groupBytes(columns);
  const copies = Math.max(1, Math.ceil(streamed / bytes));
  const weights = () =>
    Array.from({ length: copies }, (): Weight => {
      return { layout, rows, columns, address: memory.alloc(bytes, "weights"), bytes, scale: 1 };
    });
  const kind = layouts[layout].activations;
  const activations = memory.alloc(activationBytes(kind, tokens, columns) || tokens * columns * 4, "activations");
  const out = memory.alloc(tokens * rows * 4, "out");
  const scratch = memory.alloc(
    instantiateKernels(kernelModule("simd"), memory.wasm).matmul_scratch_bytes(columns),
    "scratch",
  );
  const thread = (family: KernelFamily): Thread => {
    const kernels = instantiateKernels(kernelModule(family), memory.wasm);
    return makeThread(kernels, memory.wasm, memory.alloc(RECORD_BYTES, "records"));
  };
  return { memory, bytes, copies, weights, activations, out, scratch, thread };
}

/** Four ternary codes per byte, a share of them zero (code 1). */
function ternaryCodes(bytes: Uint8Array, share: number): void {
  const random = createRandom(99);
  const code = () => (random() < share ? 1 : random() < 0.5 ? 2 : 0);
  const pattern = Math.min(bytes.length, 1 << 18);
  for (let i = 0; i < pattern; i++) bytes[i] = code() | (code() << 2) | (code() << 4) | (code() << 6);
  for (let at = pattern; at < bytes.length; at += pattern)
    bytes.copyWithin(at, 0, Math.min(pattern, bytes.length - at));
}

export const ternary: Suite = {
  name: "ternary",
  title: "Ternary weights × int8 activations, one thread, weights from memory",
  unit: "MAC",
  groups: ({ size, families }) =>
    ternaryShapes[size].flatMap(([rows, columns]) =>
      [1, TOKENS].map((tokens): Group => {
        const product = tokens === 1 ? "GEMV" : `GEMM of ${tokens} tokens`;
        return {
          name: `${product} ${rows}×${columns}`,
          prepare() {
            const { memory, weights, ...r } = rig("ternary", rows, columns, tokens, size === "smoke" ? 0 : STREAMED);
            const threads = new Map(families.map((family) => [family, r.thread(family)]));
            const cases: Case[] = [];
            for (const share of zeros[size]) {
              const list = weights();
              for (const { address } of list) ternaryCodes(memory.u8(address, r.bytes), share);
              let call = 0;
              for (const { name, family, dots, layout = "ternary" } of variants(families)) {
                // Any codes are as good in one layout as in the other.
                const laidOut = list.map((weight) => ({ ...weight, layout }));
                cases.push({
                  name: `${name}, ${Math.round(share * 100)} % zeros`,
                  labels: {
                    product: tokens === 1 ? "GEMV" : "GEMM",
                    shape: `${rows}×${columns}`,
                    kernel: name,
                    zeros: share,
                  },
                  work: rows * columns * tokens,
                  run: () =>
                    matmul(
                      threads.get(family) as Thread,
                      r.out,
                      laidOut[call++ % list.length] as Weight,
                      r.activations,
                      tokens,
                      { scratch: r.scratch, dots },
                    ),
                  facts: () => ({ weightBytes: r.bytes }),
                });
              }
            }
            return { cases };
          },
        };
      }),
    ),
};

export const matmuls: Suite = {
  name: "matmul",
  title: "The other weight layouts, one thread, weights from memory",
  unit: "MAC",
  groups: ({ size, families }) =>
    [1, TOKENS].flatMap((tokens) =>
      otherShapes.map(([layout, fullRows, fullColumns]): Group => {
        const [rows, columns] = size === "smoke" ? [64, 256] : [fullRows, fullColumns];
        return {
          name: `${tokens === 1 ? "GEMV" : `GEMM of ${tokens} tokens`} ${layout} ${rows}×${columns}`,
          prepare() {
            const { memory, weights, ...r } = rig(layout, rows, columns, tokens, size === "smoke" ? 0 : STREAMED);
            const list = weights();
            // Small positive numbers in every format.
            for (const { address } of list) memory.u8(address, r.bytes).fill(0x25);
            let call = 0;
            const cases = families.map((family): Case => {
              const thread = r.thread(family);
              return {
                name: family,
                labels: {
                  product: tokens === 1 ? "GEMV" : "GEMM",
                  shape: `${rows}×${columns}`,
                  layout,
                  kernel: family,
                },
                work: rows * columns * tokens,
                run: () =>
                  matmul(thread, r.out, list[call++ % list.length] as Weight, r.activations, tokens, {
                    scratch: r.scratch,
                  }),
                facts: () => ({ weightBytes: r.bytes }),
              };
            });
            return { cases };
          },
        };
      }),
    ),
};
