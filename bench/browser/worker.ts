// The suites in a web worker, and the threads of the engines they start: told apart by the name of the worker.

import { THREAD_NAME } from "#src/browser/start-thread.js";
import { setWeightsFolder } from "#src/embedded.js";
import { serveBrowserThread, type WorkerScope } from "#src/model/start-browser-worker.js";
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

/** What the page is told. */
export type News =
  | { doing: string }
  | { text: string }
  | { done: Pick<Run, "kernel" | "threads" | "results"> }
  | { error: string };

const scope = globalThis as unknown as WorkerScope;
const tell = (news: News) => scope.postMessage(news);

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
else
  scope.onmessage = ({ data }) => {
    run(data as Order).catch((error: Error) => tell({ error: `${error.message}\n${error.stack ?? ""}` }));
  };
