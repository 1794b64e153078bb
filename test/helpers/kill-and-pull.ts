import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import type { MockHub } from "./mock-hub.js";
import { startCommand, testBytes } from "./pull-process.js";

/**
 * Pulls a model over and over, kills the process (kill -9) at a random moment each time, and looks after each whether
 * anything has its final name that should not. Ends with a pull that is left alone.
 * @param times processes killed
 */
export async function killAndPull(hub: MockHub, times: number, cache: string): Promise<void> {
  const env = { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cache };
  const repository = "me/killed";
  const files = { "a.gguf": testBytes(1_500_000, 2), "config.json": testBytes(3000, 3) };
  hub.commit(repository, {
    "m-00001-of-00002.gguf": files["a.gguf"],
    "m-00002-of-00002.gguf": testBytes(2_000_000, 4),
  });
  hub.fault = ({ send }) => {
    send({ drip: { bytes: 40_000, ms: 5 } });
    return true;
  };
  const base = join(cache, "models--me--killed");
  const checkBlobs = () => {
    const blobs = join(base, "blobs");
    for (const name of existsSync(blobs) ? readdirSync(blobs) : [])
      if (!name.endsWith(".incomplete"))
        assert.is(
          createHash("sha256")
            .update(readFileSync(join(blobs, name)))
            .digest("hex"),
          name,
        );
    const snapshots = join(base, "snapshots");
    for (const commit of existsSync(snapshots) ? readdirSync(snapshots) : [])
      for (const file of readdirSync(join(snapshots, commit)))
        if (!file.endsWith(".tmp")) assert.ok(existsSync(join(snapshots, commit, file)), `${file} leads nowhere`);
  };
  for (let i = 0; i < times; i++) {
    const { child, ended } = startCommand(["pull", `hf:${repository}`], env);
    const timer = setTimeout(() => child.kill("SIGKILL"), 150 + Math.random() * 700);
    await ended;
    clearTimeout(timer);
    checkBlobs();
  }
  hub.fault = undefined;
  const { code, stdout, stderr } = await startCommand(["pull", `hf:${repository}`, "--json"], env).ended;
  assert.is(code, 0, stderr);
  assert.is(JSON.parse(stdout).files.length, 2);
  checkBlobs();
  assert.is(readdirSync(join(base, "blobs")).length, 2);
}
