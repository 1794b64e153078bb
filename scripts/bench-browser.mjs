// The suites of bench/ in a browser: npm run bench:browser -- [--browser chromium|firefox] [--only WORD …] [--full]
// [--json FILE] [--results FOLDER] [--threads N]; --serve only serves the page, for a browser of your own.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { installTools } from "./build-browser.mjs";
import { serve } from "./web.mjs";

const { values: flags } = parseArgs({
  options: {
    browser: { type: "string", default: "chromium" },
    only: { type: "string", multiple: true, default: [] },
    full: { type: "boolean", default: false },
    smoke: { type: "boolean", default: false },
    json: { type: "string" },
    results: { type: "string" },
    threads: { type: "string" },
    serve: { type: "boolean", default: false },
  },
});

const out = "build/bench-browser";
installTools();
mkdirSync(out, { recursive: true });
const { build } = createRequire(join(process.cwd(), "runtime-tests/package.json"))("esbuild");
await build({
  bundle: true,
  format: "esm",
  platform: "browser",
  target: "es2022",
  logLevel: "warning",
  entryPoints: ["build/bench/browser/worker.js", "build/bench/browser/page.js"],
  outdir: out,
});
cpSync("bench/browser/index.html", join(out, "index.html"));
cpSync("weights", join(out, "weights"), { recursive: true });
cpSync("build/bench-kernels", join(out, "kernels"), { recursive: true });

const { version } = JSON.parse(readFileSync("package.json", "utf8"));
const query = new URLSearchParams([
  ["size", flags.smoke ? "smoke" : flags.full ? "full" : "quick"],
  ...flags.only.map((word) => ["only", word]),
  ...(flags.threads ? [["threads", flags.threads]] : []),
  ["version", version],
  ["processor", cpus()[0]?.model.trim() || "unknown"],
]);
const { server, url } = await serve({ "/": out });
if (flags.serve) console.log(`${url}/?${query}`);
else {
  try {
    await runPage(`${url}/?${query}`);
  } finally {
    server.close();
  }
}

async function runPage(address) {
  const { browsers, withBrowser } = await import("../runtime-tests/browsers.mjs");
  if (!browsers[flags.browser]) throw new Error(`${flags.browser} is not installed (scripts/install-browsers.sh)`);
  await withBrowser(flags.browser, async (browser) => {
    const page = await browser.newPage();
    await page.goto(address);
    let shown = 0;
    for (;;) {
      const { log, doing, result } = await page.evaluate(
        (from) => ({
          log: globalThis.log.slice(from),
          doing: document.querySelector("#doing").textContent,
          result: globalThis.result,
        }),
        shown,
      );
      if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
      for (const text of log) console.log(text);
      shown += log.length;
      if (result?.error) throw new Error(result.error);
      if (result) return await finish(result);
      if (process.stderr.isTTY) process.stderr.write(doing);
      await new Promise((done) => setTimeout(done, 500));
    }
  });
}

async function finish(run) {
  const { kernel, threads, runtime } = run;
  console.log(`\n${runtime}, picked kernels: ${kernel.family}, ${threads} ${threads === 1 ? "thread" : "threads"}`);
  if (flags.json) {
    mkdirSync(dirname(flags.json), { recursive: true });
    writeFileSync(flags.json, `${JSON.stringify(run, undefined, 1)}\n`);
  }
  const { writePlots } = await import("../build/bench/plots/write.js");
  if (!flags.smoke) console.log(writePlots(run, flags.results ?? `bench/results/${flags.browser}`).join("\n"));
}
