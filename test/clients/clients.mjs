// Tries the clients people use against a real server on loopback: the `openai` packages of npm and PyPI, the Vercel AI
// SDK and LangChain.js; /v1/responses against the OpenResponses specification; and vitest with `deltallm/testing`. Ends
// with "N passed, N failed". The embedded model answers: what it says means little, its form
// is what counts.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = resolve(fileURLToPath(import.meta.url), "..");
const root = resolve(here, "../..");
const installed = join(here, "node_modules/.package-lock.json");
if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(join(here, "package-lock.json")).mtimeMs)
  spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: here, stdio: ["ignore", 2, 2] });

const KEY = "test-key";
const { serve } = await import(join(root, "dist/server/index.js"));
const server = await serve({
  port: 0,
  apiKeys: [KEY],
  models: { story: { source: "embedded" } },
  parallel: 4,
});
const baseURL = `${server.url}/v1`;
let passed = 0;
let failed = 0;

export async function check(name, run) {
  try {
    await run();
    passed++;
    console.log(`ok   ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAIL ${name}\n${error.stack ?? error}`);
  }
}

export function expect(holds, what) {
  if (!holds) throw new Error(typeof what === "string" ? what : JSON.stringify(what));
}

const context = { baseURL, url: server.url, apiKey: KEY, model: "story", check, expect };
for (const file of ["openai", "ai-sdk", "langchain", "vitest"]) await (await import(`./${file}.mjs`)).run(context);
await python();
await server.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);

/**
 * The client of PyPI, and the types of the OpenResponses specification, in a virtual environment of their own; said
 * loudly when there is none.
 */
async function python() {
  const packages = ["openai==3.57.0", "openresponses-types==2.4.0"];
  const environment = join(here, "node_modules/.python");
  const binary = join(environment, "bin/python");
  const ready = join(environment, "ready");
  if (!existsSync(ready) || readFileSync(ready, "utf8") !== packages.join(" ")) {
    const made =
      spawnSync("python3", ["-m", "venv", environment], { stdio: "ignore" }).status === 0 &&
      spawnSync(binary, ["-m", "pip", "install", "--quiet", ...packages], { stdio: ["ignore", 2, 2] }).status === 0;
    if (!made) {
      console.log("SKIPPED: openai and openresponses-types of PyPI: no Python from 3.11 with venv and pip here");
      return;
    }
    writeFileSync(ready, packages.join(" "));
  }
  for (const [what, file] of [
    ["PyPI openai", "openai_client.py"],
    ["the OpenResponses specification", "openresponses.py"],
  ])
    await check(what, async () => {
      const child = spawn(binary, [join(here, file), baseURL, KEY], { stdio: ["ignore", "pipe", "pipe"] });
      let output = "";
      for (const stream of [child.stdout, child.stderr])
        stream.on("data", (data) => {
          output += data;
        });
      const status = await new Promise((done) => child.on("close", done));
      expect(status === 0, output);
    });
}
