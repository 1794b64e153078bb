import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort, program, sleep } from "./bench.mjs";

const folder = resolve(fileURLToPath(import.meta.url), "../..");
const routers = {
  haproxy: {
    file: "haproxy.cfg",
    check: (file) => ["-c", "-f", file],
    start: (file) => ["-db", "-f", file],
  },
  nginx: {
    file: "nginx.conf",
    check: (file, at) => ["-t", "-p", at, "-e", "stderr", "-c", file],
    start: (file, at) => ["-p", at, "-e", "stderr", "-c", file, "-g", "daemon off;"],
  },
};

/**
 * A router with the package's file, before servers on three ports of this machine.
 * @param {keyof typeof routers} kind
 * @param {number[]} ports
 * @param {(text: string) => string} edit of its file
 * @returns {Promise<{ url: string, stop: () => Promise<void> }>}
 */
export async function startRouter(kind, ports, edit = (text) => text) {
  const { file: name, check, start } = routers[kind];
  const binary = program(kind);
  const at = mkdtempSync(join(tmpdir(), "deltallm-router-"));
  const file = join(at, name);
  const port = await freePort();
  let text = edit(readFileSync(join(folder, name), "utf8")).replaceAll("127.0.0.1:8080", `127.0.0.1:${port}`);
  for (const [index, own] of ports.entries()) text = text.replaceAll(`127.0.0.1:${8081 + index}`, `127.0.0.1:${own}`);
  writeFileSync(file, text);
  const checked = spawnSync(binary, check(file, at), { encoding: "utf8" });
  assert.equal(checked.status, 0, checked.stderr + checked.stdout);
  const child = spawn(binary, start(file, at), { stdio: "ignore" });
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    rmSync(at, { recursive: true, force: true });
  };
  process.once("exit", () => child.kill("SIGKILL"));
  for (let tries = 0; ; tries++) {
    const up = await fetch(`${url}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (up) return { url, stop };
    if (tries === 300) {
      await stop();
      throw new Error(`${name} does not come up`);
    }
    await sleep(100);
  }
}
