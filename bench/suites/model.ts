import { loadModel } from "#src/load.js";
import type { LoadOptions, Model } from "#src/types.js";
import type { Case, Environment, Group, Suite } from "../harness/suite.js";

const PROMPT = 128;
const STEPS = 16;

interface Setting {
  name: string;
  labels: Record<string, string | number>;
  options: LoadOptions;
}

/** Kernel families on one thread, more threads with the family that is picked, and delta attention where it is calibrated. */
function settings({ families, threads }: Environment, model: string): Setting[] {
  const list = families.map((kernel): Setting => {
    return { name: `${kernel}, 1 thread`, labels: { kernel, threads: 1 }, options: { kernel, threads: 1 } };
  });
  const kernel = families.at(-1);
  const options = { kernel, threads };
  const labels = { kernel: String(kernel), threads };
  if (threads > 1) list.push({ name: `${kernel}, ${threads} threads`, labels, options });
  if (model === "embedded")
    for (const grain of ["element", "chunk"] as const)
      list.push({
        name: `${kernel}, 1 thread, ${grain} 60 %`,
        labels: { ...labels, threads: 1, grain },
        options: { kernel, threads: 1, attention: { kind: "delta", basis: "score", grain, targetSparsity: 0.6 } },
      });
  return list;
}

/** Tokens before those that are measured. */
const depths: Record<Environment["size"], readonly number[]> = { smoke: [0], quick: [0], full: [0, 896] };

const always: Record<Environment["size"], readonly string[]> = {
  smoke: ["embedded"],
  quick: ["embedded", "random:smollm2"],
  full: ["embedded", "random:smollm2", "random:llama-1b", "random:bitnet-2b"],
};

/** Prefill and decode of whole models through the public interface. */
export const wholeModels: Suite = {
  name: "model",
  title: "Whole models",
  unit: "token",
  groups(environment) {
    const { size, models } = environment;
    return [...new Set([...always[size], ...models])].flatMap((name) =>
      depths[size].flatMap((depth) =>
        (["prefill", "decode"] as const).map((stage): Group => {
          const shown = name.split("/").at(-1) as string;
          return {
            name: `${stage} ${shown}${depth ? ` after ${depth} tokens` : ""}`,
            async prepare() {
              const loaded: Model[] = [];
              const cases: Case[] = [];
              for (const { name: label, labels, options } of settings(environment, name)) {
                const model = await loadModel(name, {
                  ...options,
                  engineThread: "caller",
                  // The same prompt is computed again and again.
                  prefixCacheBytes: 0,
                  contextLength: depth + PROMPT + STEPS,
                });
                loaded.push(model);
                const { run, work } = await (stage === "prefill" ? prefill : decode)(model, depth, size);
                cases.push({ name: label, labels: { model: shown, depth, stage, ...labels }, work, run });
              }
              return { cases, dispose: () => Promise.all(loaded.map((model) => model.dispose())) };
            },
          };
        }),
      ),
    );
  },
};

/** Ids spread over the vocabulary, the same every time. */
function someIds(model: Model, count: number, seed: number): number[] {
  return Array.from({ length: count }, (_, i) => (((i + seed) * 7919) % (model.config.vocab - 8)) + 4);
}

async function prefill(model: Model, depth: number, size: Environment["size"]) {
  const ids = someIds(model, size === "smoke" ? 8 : PROMPT, depth);
  const before = await model.createSession();
  if (depth > 0) await before.prefill(someIds(model, depth, 0));
  return {
    work: ids.length,
    async run() {
      const session = await before.fork();
      await session.prefill(ids);
      await session.dispose();
    },
  };
}

async function decode(model: Model, depth: number, size: Environment["size"]) {
  const ids = someIds(model, size === "smoke" ? 1 : STEPS, depth + PROMPT);
  const before = await model.createSession();
  await before.prefill(someIds(model, depth + (size === "smoke" ? 8 : PROMPT), 0));
  return {
    work: ids.length,
    async run() {
      const session = await before.fork();
      for (const id of ids) await session.step(id);
      await session.dispose();
    },
  };
}
