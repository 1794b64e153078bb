// The page of the suites: ?size=quick|full|smoke&only=WORD&threads=N. It leaves the whole run in `window.result`.
import { startThread } from "#src/threads/start-thread.js";
import type { WorkerHandle } from "#src/threads/team.js";
import type { Run, Size } from "../harness/suite.js";
import type { News, Order, ThreadAnswer } from "./worker.js";

const page = globalThis as unknown as { result?: Run | { error: string }; log: string[] };
const asked = new URLSearchParams(location.search);
const table = document.querySelector("#table") as HTMLElement;
const doing = document.querySelector("#doing") as HTMLElement;
const download = document.querySelector("#download") as HTMLElement;
const size = (asked.get("size") ?? "quick") as Size;
page.log = [];

/** Browsers name themselves at the end of the user agent; Chromium ones before "Safari". */
function browserName(): string {
  const found = navigator.userAgent.match(/(Firefox|Edg|Chrome|HeadlessChrome)\/(\d+)/);
  const safari = navigator.userAgent.match(/Version\/(\S+) .*Safari/);
  return found
    ? `${found[1]?.replace("Headless", "").replace("Edg", "Edge")} ${found[2]}`
    : safari
      ? `Safari ${safari[1]}`
      : navigator.userAgent;
}

const script = new URL("worker.js", import.meta.url);
const threads: WorkerHandle[] = [];
const worker = new Worker(script, { type: "module", name: "bench" });
worker.onerror = ({ message }) => fail(message || "the worker could not be started");
worker.onmessage = ({ data }: MessageEvent<News>) => {
  if ("start" in data) {
    const { thread, start } = data;
    const answer = (error?: string) => worker.postMessage({ thread, error } satisfies ThreadAnswer);
    startThread(script, start).then(
      (handle) => {
        threads[thread] = handle;
        answer();
      },
      ({ message }: Error) => answer(message),
    );
  } else if ("ended" in data) threads[data.ended]?.terminate();
  else if ("doing" in data) doing.textContent = data.doing;
  else if ("error" in data) fail(data.error);
  else if ("text" in data) {
    table.textContent += `${data.text}\n`;
    page.log.push(data.text);
  } else {
    const cores = navigator.hardwareConcurrency;
    const run: Run = {
      format: "deltallm-bench",
      version: 1,
      date: new Date().toISOString(),
      package: asked.get("version") ?? "",
      size,
      machine: { processor: asked.get("processor") ?? "unknown", cores, system: navigator.platform },
      runtime: browserName(),
      ...data.done,
    };
    page.result = run;
    doing.textContent = "done";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(run, undefined, 1)], { type: "application/json" }));
    link.download = "deltallm-bench.json";
    link.textContent = "Download the figures";
    download.append(link);
  }
};
const order: Order = { size, only: asked.getAll("only"), threads: Number(asked.get("threads")) || undefined };
worker.postMessage(order);

function fail(error: string): void {
  doing.textContent = error;
  page.result = { error };
}
