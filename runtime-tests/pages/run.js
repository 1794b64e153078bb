import { runSuite } from "../suite.mjs";

/** Runs the suite on a page, watches over its main thread meanwhile, and leaves the outcome in `window.result`. */
export async function run(deltallm, source) {
  let longest = 0;
  let last = performance.now();
  const beat = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 5);
  try {
    const asked = Number(new URLSearchParams(location.search).get("threads"));
    const result = await runSuite(deltallm, source, { threads: asked || undefined });
    globalThis.result = { ...result, longestPause: longest, isolated: globalThis.crossOriginIsolated };
  } catch (error) {
    globalThis.result = { failures: [String(error?.stack ?? error)] };
  } finally {
    clearInterval(beat);
  }
}
