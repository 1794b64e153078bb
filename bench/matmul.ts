// Speed of the matrix products by shape and layout, in 10⁹ multiply-adds per second and thread. Weights come from
// memory: every call takes another of several copies, together larger than any cache.
//   node build/bench/matmul.js [word in the name …]
import { Bench } from "tinybench";
import { activationBytes, activationKind } from "#src/matmul/activations.js";
import { groupBytes, type WeightLayout } from "#src/matmul/layout.js";
import { matmul, matmulScratchBytes } from "#src/matmul/matmul.js";
import type { Weight } from "#src/matmul/weight.js";
import { instantiateKernels, kernelBytes, kernelModule } from "#src/runtime/instantiate.js";
import { Memory } from "#src/runtime/memory.js";
import type { Thread } from "#src/runtime/thread.js";

const words = process.argv.slice(2);
const shapes: [layout: WeightLayout, rows: number, columns: number][] = [
  ["ternary", 6912, 2560],
  ["ternary", 2560, 6912],
  ["ternary", 640, 2560],
  ["q8", 8192, 2048],
  ["q8", 2048, 8192],
  ["q8", 32064, 2560],
  ["q8", 24576, 576],
  ["q4", 8192, 2048],
  ["q4min", 1536, 576],
  ["q4min", 576, 1536],
  ["q4k", 8192, 2048],
  ["q6", 8192, 2048],
  ["codes", 8192, 2048],
  ["f16", 6912, 2560],
  ["bf16", 6912, 2560],
  ["f32", 6912, 2560],
];
const STREAMED_BYTES = 96e6;

for (const build of ["simd", "relaxed"] as const) {
  if (!WebAssembly.validate(kernelBytes(build))) continue;
  for (const [layout, rows, columns] of shapes)
    for (const [tokens, dot] of [
      [1, 0],
      [64, 0],
      [1, 1],
      [64, 1],
    ] as const) {
      if (dot === 1 && (layout !== "ternary" || build === "simd")) continue;
      const dots = { gemv: dot, gemm: dot };
      const name = `${build} ${layout} ${rows}x${columns} ${tokens === 1 ? "gemv" : "gemm"}${dot ? " dot32" : ""}`;
      if (!words.every((word) => name.includes(word))) continue;
      const memory = new Memory({ shared: false });
      const thread: Thread = {
        index: 0,
        count: 1,
        kernels: instantiateKernels(kernelModule(build), memory.wasm),
        barrier: () => {},
      };
      const bytes = Math.ceil(rows / 8) * groupBytes(layout, columns);
      const copies = Math.ceil(STREAMED_BYTES / bytes);
      const weights: Weight[] = Array.from({ length: copies }, () => {
        const address = memory.alloc(bytes, "weights");
        // Small positive floats in every format; valid codes in the ternary one.
        memory.u8(address, bytes).fill(layout === "ternary" ? 0x55 : 0x25);
        return { layout, rows, columns, address, bytes, scale: 1 };
      });
      const kind = activationKind(layout);
      const activations = memory.alloc(activationBytes(kind, tokens, columns) || tokens * columns * 4, "x");
      const out = memory.alloc(tokens * rows * 4, "out");
      const scratch = memory.alloc(matmulScratchBytes(columns), "scratch");
      let call = 0;
      const bench = new Bench({ time: Number(process.env.BENCH_MS ?? 300), warmupTime: 100 });
      bench.add(name, () =>
        matmul(thread, out, weights[call++ % copies] as Weight, activations, tokens, { scratch, dots }),
      );
      await bench.run();
      const result = bench.tasks[0]?.result as { latency?: { p50?: number; min?: number } } | undefined;
      const ms = result?.latency?.p50 ?? Number.NaN;
      const macs = rows * columns * tokens;
      console.log(
        `${name.padEnd(36)} ${(macs / ms / 1e6).toFixed(1).padStart(6)} GMAC/s (best ${(macs / (result?.latency?.min ?? Number.NaN) / 1e6).toFixed(1)})  ${(bytes / ms / 1e6).toFixed(1).padStart(5)} GB/s`,
      );
    }
}
