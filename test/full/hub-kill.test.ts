import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import { killAndPull } from "../helpers/kill-and-pull.js";
import { MockHub } from "../helpers/mock-hub.js";

test("a pull that is killed at 50 random moments never leaves a wrong file", async () => {
  const hub = await MockHub.start();
  const cache = mkdtempSync(join(tmpdir(), "deltallm-hub-"));
  try {
    await killAndPull(hub, 50, cache);
  } finally {
    await hub.close();
    rmSync(cache, { recursive: true, force: true });
  }
});

test.run();
