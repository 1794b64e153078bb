// The suites in a web worker, and the threads of the engines they start: told apart by the name of the worker. The page
// starts the threads, because in Firefox a worker that starts workers may hang.

import { setWeightsFolder } from "#src/embedded.js";
import { serveBrowserThread, startThreadsWith, type WorkerScope } from "#src/model/start-browser-worker.js";
import { THREAD_NAME } from "#src/threads/start-thread.js";
import type { WorkerHandle, WorkerStart } from "#src/threads/team.js";
import { families, mostThreads, pickedKernel } from "../harness/environment.js";
import { measureGroup, plan } from "../harness/measure.js";
import type { Environment, Result, Run, Size } from "../harness/suite.js";
import { groupTable, tableHead } from "../harness/table.js";
import { suites } from "../suites/index.js";

/** What the page asks for. */
export interface Order {
  size: Size;
  only: readonly string[];
  threads?: number | undefined;
}

/** What the page answers when a thread was asked for. */
export interface ThreadAnswer {
  thread: number;
  error?: string | undefined;
}

/** What the page is told. */
export type News =
  | { thread: number; start: WorkerStart }
  | { ended: number }
  | { doing: string }
  | { text: string }
  | { done: Pick<Run, "kernel" | "threads" | "results"> }
  | { error: string };

const scope = globalThis as unknown as WorkerScope;
const tell = (news: News) => scope.postMessage(news);
const asked: ((error: string | undefined) => void)[] = [];

function startThread(start: WorkerStart): Promise<WorkerHandle> {
  const thread = asked.length;
  return new Promise((resolve, reject) => {
    asked.push((error) => {
      if (error === undefined) resolve({ terminate: async () => tell({ ended: thread }) });
      else reject(new Error(error));
    });
    tell({ thread, start });
  });
}

async function run({ size, only, threads }: Order): Promise<void> {
  const at = (path: string) => new URL(path, import.meta.url);
  setWeightsFolder(at("weights/"));
  const known = families();
  const parts: Environment["parts"] = {};
  for (const family of known)
    parts[family] = new WebAssembly.Module(await (await fetch(at(`kernels/${family}.wasm`))).arrayBuffer());
  const environment: Environment = {
    size,
    families: known,
    parts,
    threads: threads ?? (await mostThreads()),
    models: [],
  };
  const planned = plan(suites, environment, only);
  const results: Result[] = [];
  let shown = "";
  for (const [i, each] of planned.entries()) {
    tell({ doing: `${i + 1}/${planned.length}  ${each.suite.name}: ${each.group.name}` });
    const measured = await measureGroup(each, size);
    results.push(...measured);
    tell({ text: `${shown === each.suite.name ? "" : `${tableHead(each.suite)}\n`}${groupTable(measured)}` });
    shown = each.suite.name;
  }
  tell({ done: { kernel: pickedKernel(), threads: environment.threads, results } });
}

if (scope.name === THREAD_NAME) serveBrowserThread(scope);
else {
  startThreadsWith(startThread);
  scope.onmessage = ({ data }: MessageEvent<Order | ThreadAnswer>) => {
    if ("thread" in data) asked[data.thread]?.(data.error);
    else run(data).catch((error: Error) => tell({ error: `${error.message}\n${error.stack ?? ""}` }));
  };
}
