import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort, program, sleep } from "./bench.mjs";

const folder = resolve(fileURLToPath(import.meta.url), "../..");

/** The routers' files with the real programs, before small servers that say who they are. */
export function routerCases() {
  const haproxy = program("haproxy");
  const nginx = program("nginx");
  return [
    ...(haproxy
      ? [
          [
            "HAProxy takes its file, keeps affinity, goes round a machine that drains",
            () =>
              route(haproxy, "haproxy.cfg", (file) => [
                ["-c", "-f", file],
                ["-db", "-f", file],
              ]),
          ],
        ]
      : []),
    ...(nginx
      ? [
          [
            "nginx takes its file, keeps affinity, goes round a machine that drains",
            () =>
              route(nginx, "nginx.conf", (file, at) => [
                ["-t", "-p", at, "-e", "stderr", "-c", file],
                ["-p", at, "-e", "stderr", "-c", file, "-g", "daemon off;"],
              ]),
          ],
        ]
      : []),
  ];
}

async function route(binary, name, words) {
  const at = mkdtempSync(join(tmpdir(), "deltallm-router-"));
  const servers = [];
  let child;
  try {
    let text = readFileSync(join(folder, name), "utf8");
    for (const port of [8081, 8082, 8083]) {
      const server = { name: String(port), draining: false };
      server.http = createServer((request, response) => {
        response.statusCode = server.draining ? 503 : 200;
        request.resume().on("end", () => response.end(server.name));
      }).listen(0, "127.0.0.1");
      await new Promise((done) => server.http.once("listening", done));
      servers.push(server);
      text = text.replaceAll(`127.0.0.1:${port}`, `127.0.0.1:${server.http.address().port}`);
    }
    const port = await freePort();
    const file = join(at, name);
    writeFileSync(file, text.replaceAll("127.0.0.1:8080", `127.0.0.1:${port}`));
    const [check, start] = words(file, at);
    const checked = spawnSync(binary, check, { encoding: "utf8" });
    assert.equal(checked.status, 0, checked.stderr + checked.stdout);
    child = spawn(binary, start, { stdio: "ignore" });
    const ask = async (affinity) => {
      const headers = { "x-affinity": affinity };
      const response = await fetch(`http://127.0.0.1:${port}/v1/completions`, { method: "POST", headers, body: "{}" });
      return { status: response.status, who: await response.text() };
    };
    for (let tries = 0; ; tries++) {
      const up = await ask("x").then(
        ({ status }) => status === 200,
        () => false,
      );
      if (up) break;
      assert.ok(tries < 100, `${name} does not come up`);
      await sleep(100);
    }
    const users = Array.from({ length: 30 }, (_, index) => `conversation-${index}`);
    const first = new Map();
    for (const user of users) first.set(user, (await ask(user)).who);
    assert.equal(new Set(first.values()).size, 3, "every machine has conversations");
    // Bounded load may send one on where the answer before is not yet counted as ended: most stay, not all.
    let moved = 0;
    for (const user of users) if ((await ask(user)).who !== first.get(user)) moved++;
    assert.ok(moved <= 3, `${moved} of ${users.length} conversations moved`);

    // Requests for a machine that drains are answered by another; the others stay where they are.
    moved = 0;
    const [drained] = servers;
    drained.draining = true;
    for (const user of users) {
      const { status, who } = await ask(user);
      assert.equal(status, 200);
      assert.notEqual(who, drained.name);
      if (first.get(user) !== drained.name && who !== first.get(user)) moved++;
    }
    assert.ok(moved <= 3, `${moved} conversations of machines that work moved`);
  } finally {
    if (child?.exitCode === null) {
      child.kill("SIGTERM");
      await new Promise((done) => child.once("exit", done));
    }
    for (const { http } of servers) {
      http.closeAllConnections();
      http.close();
    }
    rmSync(at, { recursive: true, force: true });
  }
}
