import { loadModel } from "#src/load.js";
import { createHandler, type Handler } from "#src/server/handler.js";
import type { Case, Environment, Group, Suite } from "../harness/suite.js";

const TOKENS = 4;

const served: Record<Environment["size"], { models: readonly string[]; clients: readonly number[] }> = {
  smoke: { models: ["embedded"], clients: [1, 3] },
  quick: { models: ["random:smollm2"], clients: [1, 2, 4, 8, 16, 32, 64] },
  full: { models: ["random:smollm2", "random:llama-1b"], clients: [1, 2, 4, 8, 16, 32, 64] },
};

/** Clients that ask at the same moment, for a few tokens each: computed together, and one after the other. */
export const server: Suite = {
  name: "server",
  title: `The server's handler: so many clients ask at once, ${TOKENS} tokens each, streamed`,
  unit: "token",
  groups: ({ size, threads }) =>
    served[size].models.map((name): Group => {
      return {
        name,
        async prepare() {
          const model = await loadModel(name, { threads, contextLength: 128 });
          const most = Math.max(...served[size].clients);
          const ways = [
            ["together", createHandler({ models: { model: { model } }, parallel: most, queue: most })],
            ["one at a time", createHandler({ models: { model: { model } }, parallel: 1, queue: most })],
          ] as const;
          // One at a time takes long, and every other number shows it as well.
          const cases = ways.flatMap(([way, handle]) =>
            served[size].clients
              .filter((_, i) => way === "together" || i % 2 === 0)
              .map((clients) => caseOf(handle, { model: name, way, clients, threads })),
          );
          return { cases, dispose: () => model.dispose() };
        },
      };
    }),
};

function caseOf(handle: Handler, labels: { model: string; way: string; clients: number; threads: number }): Case {
  const { way, clients } = labels;
  const firsts: number[] = [];
  const wholes: number[] = [];
  return {
    name: `${clients}, ${way}`,
    labels,
    work: clients * TOKENS,
    async run() {
      const start = performance.now();
      await Promise.all(
        Array.from({ length: clients }, async (_, i) => {
          // Shorter than a page of the cache: every prompt is computed.
          const body = { prompt: `Client ${i} asks`, max_tokens: TOKENS, seed: i, stream: true };
          const response = await handle(
            new Request("http://localhost/v1/completions", { method: "POST", body: JSON.stringify(body) }),
          );
          const reader = (response.body as ReadableStream<Uint8Array>).getReader();
          await reader.read();
          firsts.push(performance.now() - start);
          while (!(await reader.read()).done);
          wholes.push(performance.now() - start);
        }),
      );
    },
    facts: () => ({ firstTokenMs: mean(firsts), answerMs: mean(wholes) }),
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(values.length, 1);
}
