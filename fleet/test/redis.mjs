import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const main = resolve(fileURLToPath(import.meta.url), "../../src/main.mjs");
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** A program of Debian's by its path, or undefined with a loud word. */
export function program(name) {
  for (const folder of ["/usr/bin", "/usr/sbin", "/usr/local/bin"])
    if (spawnSync(join(folder, name), ["-v"], { stdio: "ignore" }).error === undefined) return join(folder, name);
  console.log(`SKIPPED: ${name} is not to be had here`);
  return undefined;
}

export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** A Redis with an append-only file and worker processes beside it, in a folder that goes with them. */
export class Bench {
  folder = mkdtempSync(join(tmpdir(), "deltallm-fleet-"));
  workers = new Map();
  log = "";

  static async start(binary) {
    const bench = new Bench();
    process.once("exit", () => bench.#kill());
    bench.binary = binary;
    bench.port = await freePort();
    bench.address = `redis://127.0.0.1:${bench.port}`;
    await bench.startRedis();
    return bench;
  }

  async startRedis() {
    const flags = { port: this.port, bind: "127.0.0.1", dir: this.folder, appendonly: "yes", save: "" };
    const words = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
    this.redis = spawn(this.binary, words, { stdio: ["ignore", "pipe", "inherit"] });
    await new Promise((ready, fail) => {
      let text = "";
      this.redis.stdout.on("data", (data) => {
        text += data;
        if (text.includes("Ready to accept connections")) ready();
      });
      this.redis.once("exit", () => fail(new Error(text)));
    });
  }

  async restartRedis() {
    this.redis.kill("SIGKILL");
    await once(this.redis, "exit");
    await sleep(300);
    await this.startRedis();
  }

  startWorker(name, ...words) {
    const options = ["--redis", this.address, "worker", "--model", "embedded", "--name", name, "--lock", "2000"];
    const child = spawn(process.execPath, [main, ...options, ...words], { stdio: ["ignore", "ignore", "pipe"] });
    child.stderr.on("data", (data) => {
      this.log += `${name}: ${data}`;
    });
    this.workers.set(name, child);
    return child;
  }

  run(...words) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, "--redis", this.address, ...words], {
      encoding: "utf8",
    });
    return { status, stdout, stderr };
  }

  #kill() {
    for (const child of [...this.workers.values(), this.redis])
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
  }

  async stop() {
    for (const child of [...this.workers.values(), this.redis])
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
