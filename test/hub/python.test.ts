import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openModelSource } from "#src/load-engine.js";
import { fixture } from "../helpers/fixtures.js";
import { MockHub } from "../helpers/mock-hub.js";
import { startCommand } from "../helpers/pull-process.js";

const python = [process.env.DELTALLM_PYTHON, "build/python/bin/python", "python3"].find(
  (each) => each && spawnSync(each, ["-c", "import huggingface_hub"]).status === 0,
);
const mini = (name: string) => new Uint8Array(readFileSync(fixture("golden", "llama-mini", name)));
const files = () => ({
  "config.json": mini("hf-bf16/config.json"),
  "mini-Q8_0.gguf": mini("llama-mini-q8_0.gguf"),
  "mini-Q4_0.gguf": mini("llama-mini-q4_0.gguf"),
});
const folders: string[] = [];

/** Runs a script; the hub of the tests lives in this process, so it must not wait for it. */
async function runPython(script: string, env: Record<string, string>): Promise<string> {
  const child = spawn(python as string, ["-c", script], {
    env: { ...process.env, HF_HUB_DISABLE_TELEMETRY: "1", HF_HUB_DISABLE_XET: "1", ...env },
  });
  let out = "";
  let err = "";
  child.stdout.on("data", (text) => {
    out += text;
  });
  child.stderr.on("data", (text) => {
    err += text;
  });
  const code = await new Promise((resolve) => child.on("close", resolve));
  assert.is(code, 0, err);
  return out.trim();
}

async function withHub(
  run: (hub: MockHub, cache: string, env: Record<string, string>) => Promise<void>,
): Promise<void> {
  const hub = await MockHub.start();
  const cache = mkdtempSync(join(tmpdir(), "deltallm-hub-"));
  folders.push(cache);
  try {
    await run(hub, cache, { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cache, HF_HOME: cache });
  } finally {
    await hub.close();
  }
}

if (!python) {
  console.log("SKIPPED: no Python with the package huggingface_hub; name one in DELTALLM_PYTHON");
  test.skip("what we pull, Python's huggingface_hub opens offline", () => {});
} else {
  test("what we pull, Python's huggingface_hub opens offline, and its scan finds no fault", () =>
    withHub(async (hub, _, env) => {
      const commit = hub.commit("me/mini", files());
      const pulled = await startCommand(["pull", "hf:me/mini:Q8_0", "--json"], env).ended;
      assert.is(pulled.code, 0, pulled.stderr);
      assert.is((await startCommand(["pull", "hf:me/mini/mini-Q4_0.gguf@main"], env).ended).code, 0);
      const script = `
from huggingface_hub import hf_hub_download, scan_cache_dir
path = hf_hub_download("me/mini", "mini-Q8_0.gguf")
hf_hub_download("me/mini", "mini-Q4_0.gguf", revision="${commit}")
report = scan_cache_dir()
assert not report.warnings, report.warnings
[repo] = report.repos
[revision] = repo.revisions
assert revision.refs == {"main"} and revision.commit_hash == "${commit}", revision
print(path)`;
      const path = await runPython(script, { ...env, HF_HUB_OFFLINE: "1" });
      assert.is(path, JSON.parse(pulled.stdout).files[0].path);
      assert.equal(new Uint8Array(readFileSync(path)), files()["mini-Q8_0.gguf"]);
      // Asked again with a connection it takes what is there, too.
      hub.seen.length = 0;
      await runPython('from huggingface_hub import hf_hub_download\nhf_hub_download("me/mini", "mini-Q8_0.gguf")', env);
      assert.is(hub.seen.filter(({ method, path }) => method === "GET" && path.includes("/resolve/")).length, 0);
    }));

  test("what Python's huggingface_hub pulled, we open offline", () =>
    withHub(async (hub, cache, env) => {
      hub.commit("me/mini", files());
      await runPython('from huggingface_hub import hf_hub_download\nhf_hub_download("me/mini", "mini-Q4_0.gguf")', env);
      hub.seen.length = 0;
      for (const name of ["hf:me/mini", "hf:me/mini:Q4_0", "hf:me/mini/mini-Q4_0.gguf"]) {
        const file = await openModelSource(name, {
          hub: { endpoint: hub.endpoint, cacheFolder: cache, offline: true },
        });
        assert.is(file.config.hidden, 64);
        await file.close();
      }
      const listed = JSON.parse((await startCommand(["list", "--json"], env).ended).stdout);
      assert.equal(
        listed.map(({ repository, file }: { repository: string; file: string }) => [repository, file]),
        [["me/mini", "mini-Q4_0.gguf"]],
      );
      assert.is(hub.seen.length, 0);
      // With a connection it is not downloaded again.
      const { code, stdout } = await startCommand(["pull", "hf:me/mini:Q4_0", "--json"], env).ended;
      assert.is(code, 0);
      assert.is(JSON.parse(stdout).files[0].fetchedBytes, 0);
      assert.is((await startCommand(["remove", "hf:me/mini"], env).ended).code, 0);
      assert.not(existsSync(join(cache, "models--me--mini")));
    }));
}

test.after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

test.run();
