import { createRequire, syncBuiltinESMExports } from "node:module";
import type { Worker } from "node:worker_threads";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { KernelError } from "#src/errors.js";
import { loadModel } from "#src/load.js";
import type { LoadOptions } from "#src/types.js";

// Every worker that is started, and what it was given: threads of a team have data, owners of a model none.
const builtin = createRequire(import.meta.url)("node:worker_threads") as { Worker: typeof Worker };
const started: { worker: Worker; isThread: boolean }[] = [];
let instead: URL | undefined;
builtin.Worker = class extends builtin.Worker {
  constructor(...[file, options]: ConstructorParameters<typeof Worker>) {
    const isThread = options?.workerData !== undefined;
    super(isThread && instead ? instead : file, options);
    started.push({ worker: this, isThread });
  }
};
syncBuiltinESMExports();

const script = (text: string) => new URL(`data:text/javascript,${encodeURIComponent(text)}`);

/** The model, and the one thread it has beside its first. */
async function load(options: LoadOptions) {
  started.length = 0;
  const model = await loadModel("embedded", { threads: 2, ...options });
  return { model, thread: started.find(({ isThread }) => isThread)?.worker as Worker };
}

/** A model whose thread has died fails for good, and can still be given back. */
async function isUnusable(model: Awaited<ReturnType<typeof loadModel>>, first: Promise<unknown>) {
  const fails = async (work: Promise<unknown>) => {
    const error = await work.then(
      () => undefined,
      (error: unknown) => error,
    );
    assert.instance(error, KernelError);
  };
  await fails(first);
  await fails(model.complete("Once", { maxTokens: 2 }));
  await model.dispose();
}

for (const engineThread of ["worker", "caller"] as const)
  test(`a thread that ends while the model is idle (${engineThread}) is a KernelError`, async () => {
    const { model, thread } = await load({ engineThread });
    await thread.terminate();
    await isUnusable(model, model.complete("Once", { maxTokens: 2 }));
  });

for (const engineThread of ["worker", "caller"] as const)
  test(`a thread that ends while the model decodes is a KernelError (${engineThread})`, async () => {
    const { model, thread } = await load({ engineThread });
    const work = (async () => {
      for await (const _ of model.generate("Once upon a time", { maxTokens: 500 })) thread.terminate();
    })();
    await isUnusable(model, work);
  });

test("a thread that ends while the calling thread computes, and so hears of nothing, is a KernelError", async () => {
  instead = new URL("../helpers/ending-thread.js", import.meta.url);
  const model = await loadModel("embedded", { threads: 2, engineThread: "caller" }).finally(() => {
    instead = undefined;
  });
  await isUnusable(model, model.createSession().prefill(Array.from({ length: 500 }, (_, i) => i % 100)));
});

test("a thread that ends or throws before it is ready is a KernelError, not a load that never ends", async () => {
  for (const text of ["process.exit(0)", "throw new Error('no')"]) {
    instead = script(text);
    try {
      await loadModel("embedded", { threads: 2 });
      assert.unreachable();
    } catch (error) {
      assert.instance(error, KernelError);
    } finally {
      instead = undefined;
    }
  }
});

test("a thread that throws after it was ready is a KernelError", async () => {
  instead = script(
    "import { parentPort } from 'node:worker_threads'; parentPort.postMessage('ready'); setTimeout(() => { throw new Error('no'); }, 50);",
  );
  try {
    const model = await loadModel("embedded", { threads: 2, engineThread: "worker" }).catch((error) => error);
    if (model instanceof Error) assert.instance(model, KernelError);
    else await isUnusable(model, model.complete("Once", { maxTokens: 2 }));
  } finally {
    instead = undefined;
  }
});

test.run();
