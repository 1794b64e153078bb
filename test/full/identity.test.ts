import { spawnSync } from "node:child_process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { fixture, shared } from "../helpers/fixtures.js";

interface Row {
  source: string;
  kernel: string;
  threads: number;
  prefillChunk: number;
  attention: string;
  hash: string;
}

const root = fixture("..", "..");
const { installRuntimes } = (await import(`${root}/scripts/runtimes.mjs`)) as {
  installRuntimes(): Record<string, string>;
};
const runtimes = { current: process.execPath, ...installRuntimes() };
const smollm2 = shared("models", "SmolLM2-135M-Instruct.Q4_1.gguf");
const models = ["embedded", ...(smollm2 ? [smollm2] : [])];

test("one hash per model and attention, whatever the runtime, kernel build, threads and prefill chunk", () => {
  const rows: (Row & { runtime: string })[] = [];
  for (const [runtime, binary] of Object.entries(runtimes)) {
    const args = [...(runtime === "deno" ? ["run", "-A"] : []), `${root}/test/identity/hashes.mjs`, ...models];
    const run = spawnSync(binary, args, { encoding: "utf8", cwd: root });
    assert.is(run.status, 0, `${runtime}: ${run.stderr}`);
    for (const line of run.stdout.trim().split("\n")) rows.push({ runtime, ...(JSON.parse(line) as Row) });
  }
  for (const source of models) {
    for (const attention of new Set(rows.filter((row) => row.source === source).map((row) => row.attention))) {
      const group = rows.filter((row) => row.source === source && row.attention === attention);
      const hashes = new Map<string, string[]>();
      for (const row of group) {
        const name = `${row.runtime}/${row.kernel}/${row.threads} threads/chunk ${row.prefillChunk}`;
        hashes.set(row.hash, [...(hashes.get(row.hash) ?? []), name]);
      }
      console.log(`${source.split("/").at(-1)}, ${attention}: ${[...hashes.keys()].join(", ")} (${group.length} runs)`);
      assert.is(hashes.size, 1, JSON.stringify([...hashes], null, 1));
    }
  }
  const relaxed = new Set(rows.filter((row) => row.kernel === "relaxed").map((row) => row.runtime));
  if (runtimes.current && Object.keys(runtimes).length > 1)
    assert.ok(relaxed.has("node24"), "node24 ran relaxed kernels");
});

test.run();
