import { runSuite } from "../suite.mjs";

/**
 * Tasks of 50 ms and more on the page's thread while a model is loaded and generates; only Chromium tells. The second try
 * counts, should the first be disturbed by something else on the machine.
 */
async function longTasksOf(deltallm, source) {
  let tasks = [];
  if (!globalThis.PerformanceObserver?.supportedEntryTypes.includes("longtask")) return tasks;
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) tasks.push(duration);
  });
  observer.observe({ type: "longtask" });
  for (let tries = 0; tries < 2; tries++) {
    tasks = [];
    const model = await deltallm.loadModel(source);
    for await (const _ of model.generate("Once upon a time", { maxTokens: 200, temperature: 0 }));
    await model.dispose();
    await new Promise((resolve) => setTimeout(resolve, 100));
    if (tasks.length === 0) break;
  }
  observer.disconnect();
  return tasks;
}

/** Runs the suite on a page, watches over its main thread meanwhile, and leaves the outcome in `window.result`. */
export async function run(deltallm, source) {
  globalThis.stage = "long tasks";
  const longTasks = await longTasksOf(deltallm, source);
  let longest = 0;
  let last = performance.now();
  const beat = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 5);
  try {
    const asked = new URLSearchParams(location.search);
    const threads = Number(asked.get("threads")) || (globalThis.crossOriginIsolated ? 2 : undefined);
    const address = asked.get("smollm2");
    const smollm2 = address && {
      source: address,
      calibration: await (await fetch("/smollm2.calibration.json")).json(),
    };
    const result = await runSuite(deltallm, source, { threads }, { smollm2 });
    if (longTasks.length) result.failures.push(`the page was held up for ${longTasks.join(", ")} ms`);
    globalThis.result = { ...result, longestPause: longest, isolated: globalThis.crossOriginIsolated };
  } catch (error) {
    globalThis.result = { failures: [String(error?.stack ?? error)] };
  } finally {
    clearInterval(beat);
  }
}
