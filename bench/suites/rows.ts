import { createCache } from "#src/attention/create-cache.js";
import { openRandomModel } from "#src/formats/random-model.js";
import { Engine } from "#src/model/engine.js";
import { nextSlice } from "#src/model/slice.js";
import type { Case, Environment, Group, Suite } from "../harness/suite.js";

const CONTEXT = 64;

const shapes: Record<Environment["size"], readonly string[]> = {
  smoke: ["smollm2"],
  quick: ["smollm2"],
  full: ["smollm2", "bitnet-2b"],
};

/** Several sequences that decode at once: one pass makes a token of each, with the logits of every row. */
export const rows: Suite = {
  name: "rows",
  title: "Passes of several sequences, one new token of each, logits of every row",
  unit: "token",
  groups: ({ size, threads }) =>
    shapes[size].flatMap((shape) =>
      [...new Set([1, threads])].map((count): Group => {
        return {
          name: `${shape}, ${count} ${count === 1 ? "thread" : "threads"}`,
          async prepare() {
            const engine = await Engine.load(openRandomModel(shape), {
              threads: count,
              contextLength: CONTEXT,
              prefillChunk: 32,
            });
            const cases = [1, 2, 4, 8, 16, 32].map((sequences): Case => {
              const caches = Array.from({ length: sequences }, () =>
                createCache(engine.memory, engine.config, {
                  kind: "int8",
                  contextLength: CONTEXT,
                  attention: {},
                  threads: engine.threads,
                  kernels: engine.kernels,
                }),
              );
              const ids = Int32Array.from(
                { length: sequences },
                (_, i) => ((i * 7919) % (engine.config.vocab - 8)) + 4,
              );
              return {
                name: `${sequences}`,
                labels: { shape, threads: count, sequences },
                work: sequences,
                run() {
                  for (const cache of caches) if (cache.length === CONTEXT) cache.truncate(0);
                  engine.forward(
                    ids,
                    caches.map((cache) => nextSlice(cache, 1, "last")),
                  );
                },
              };
            });
            return { cases, dispose: () => engine.dispose() };
          },
        };
      }),
    ),
};
