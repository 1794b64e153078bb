import { loadModel } from "#src/load.js";
import type { Model } from "#src/types.js";
import type { Environment, Group, Suite } from "../harness/suite.js";

/** Tokens of the prompt. */
const prompts: Record<Environment["size"], number> = { smoke: 16, quick: 1000, full: 3000 };
const STREAMS = 4;

/** What the calling thread notices of an engine that computes in a thread of its own: its timers. */
export const eventLoop: Suite = {
  name: "event-loop",
  title: "A long prompt is prefilled while four sessions decode; the longest time the caller's event loop stood still",
  unit: "token",
  groups: ({ size, threads }) =>
    [...new Set([1, threads])].map((count): Group => {
      const tokens = prompts[size];
      return {
        name: `smollm2, ${count} ${count === 1 ? "thread" : "threads"}`,
        async prepare() {
          const model = await loadModel("random:smollm2", {
            threads: count,
            contextLength: tokens + 64,
            prefixCacheBytes: 0,
          });
          let longest = 0;
          return {
            cases: [
              {
                name: `${tokens} tokens and ${STREAMS} streams`,
                labels: { threads: count, tokens, streams: STREAMS },
                work: tokens,
                async run() {
                  longest = Math.max(longest, await longestStall(() => prefillAmongStreams(model, tokens)));
                },
                facts: () => ({ longestStallMs: longest }),
              },
            ],
            dispose: () => model.dispose(),
          };
        },
      };
    }),
};

async function prefillAmongStreams(model: Model, tokens: number): Promise<void> {
  let over = false;
  const stream = async (first: number) => {
    const session = model.createSession();
    for (let i = 0; !over && session.length < tokens; i++) await session.step(first + i);
    await session.dispose();
  };
  const streams = Array.from({ length: STREAMS }, (_, i) => stream(100 + i * 5000));
  const session = model.createSession();
  await session.prefill(Array.from({ length: tokens }, (_, i) => ((i * 7919) % (model.config.vocab - 8)) + 4));
  over = true;
  await Promise.all(streams);
  await session.dispose();
}

/** Milliseconds between two turns of the event loop, at most, while something goes on. */
async function longestStall(work: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }, 1);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return longest;
}
