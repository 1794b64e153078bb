import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const main = resolve(fileURLToPath(import.meta.url), "../../src/main.mjs");
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

const POSTGRES = "/usr/lib/postgresql";

/** A program of Debian's by its path, or undefined with a loud word. */
export function program(name) {
  const versions = existsSync(POSTGRES) ? readdirSync(POSTGRES).sort().reverse() : [];
  const postgres = versions.map((version) => join(POSTGRES, version, "bin"));
  for (const folder of ["/usr/bin", "/usr/sbin", "/usr/local/bin", ...postgres])
    if (existsSync(join(folder, name))) return join(folder, name);
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

/** A Redis with an append-only file. */
class RedisServer {
  constructor(folder) {
    this.folder = folder;
  }

  async start() {
    this.port ??= await freePort();
    this.settings = { redis: `redis://127.0.0.1:${this.port}` };
    const flags = { port: this.port, bind: "127.0.0.1", dir: this.folder, appendonly: "yes", save: "" };
    const words = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
    this.process = spawn(program("redis-server"), words, { stdio: ["ignore", "pipe", "inherit"] });
    await said(this.process, this.process.stdout, "Ready to accept connections");
  }

  /** Dies without a word. */
  kill = () => this.process.kill("SIGKILL");
}

/** A PostgreSQL; it does not run as root. */
class PostgresServer {
  constructor(folder) {
    this.folder = join(folder, "postgres");
  }

  async start() {
    const user = process.getuid() === 0 ? { uid: idOf("-u"), gid: idOf("-g") } : {};
    if (!this.port) {
      this.port = await freePort();
      mkdirSync(this.folder);
      spawnSync("chmod", ["755", join(this.folder, "..")]);
      if (user.uid) spawnSync("chown", [`${user.uid}:${user.gid}`, this.folder]);
      const words = ["-D", this.folder, "-U", "fleet", "-A", "trust", "--no-sync"];
      const made = spawnSync(program("initdb"), words, { ...user, cwd: this.folder, encoding: "utf8" });
      if (made.status !== 0) throw new Error(made.stderr);
    }
    this.settings = { postgres: `postgres://fleet@127.0.0.1:${this.port}/postgres` };
    const words = ["-D", this.folder, "-p", String(this.port), "-h", "127.0.0.1", "-k", ""];
    this.process = spawn(program("postgres"), words, {
      ...user,
      cwd: this.folder,
      stdio: ["ignore", "ignore", "pipe"],
    });
    await said(this.process, this.process.stderr, "database system is ready to accept connections");
  }

  /** Ends at once, as in a crash: what was not yet written is recovered from its log. */
  kill = () => this.process.kill("SIGQUIT");
}

const idOf = (flag) => Number(spawnSync("id", [flag, "postgres"], { encoding: "utf8" }).stdout);

function said(child, stream, words) {
  return new Promise((ready, fail) => {
    let text = "";
    stream.on("data", (data) => {
      text += data;
      if (text.includes(words)) ready();
    });
    child.once("exit", () => fail(new Error(text)));
  });
}

export const servers = { redis: RedisServer, postgres: PostgresServer };

/** A Redis or PostgreSQL and worker processes beside it, in a folder that goes with them. */
export class Bench {
  folder = mkdtempSync(join(tmpdir(), "deltallm-fleet-"));
  workers = new Map();
  log = "";

  /** @param {keyof servers} kind */
  static async start(kind) {
    const bench = new Bench();
    process.once("exit", () => bench.#kill());
    bench.server = new servers[kind](bench.folder);
    await bench.server.start();
    return bench;
  }

  get settings() {
    return this.server.settings;
  }

  async restartServer() {
    const { process: child } = this.server;
    this.server.kill();
    await once(child, "exit");
    await sleep(300);
    await this.server.start();
  }

  get #place() {
    return Object.entries(this.settings).flatMap(([name, address]) => [`--${name}`, address]);
  }

  startWorker(name, ...words) {
    const options = ["worker", "--model", "embedded", "--name", name, "--lock", "2000", ...words];
    const child = spawn(process.execPath, [main, ...this.#place, ...options], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, ...this.env },
    });
    child.stderr.on("data", (data) => {
      this.log += String(data).replace(/^(?=.)/gm, `${name}: `);
    });
    this.workers.set(name, child);
    return child;
  }

  run(...words) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...this.#place, ...words], {
      encoding: "utf8",
    });
    return { status, stdout, stderr };
  }

  /** Starts a command; what it printed when it has ended. */
  async follow(...words) {
    const child = spawn(process.execPath, [main, ...this.#place, ...words], { stdio: ["ignore", "pipe", "inherit"] });
    process.once("exit", () => child.kill("SIGKILL"));
    let stdout = "";
    child.stdout.on("data", (data) => {
      stdout += data;
    });
    const [status] = await once(child, "close");
    return { status, stdout };
  }

  #kill() {
    for (const child of this.#running) child.kill("SIGKILL");
    if (this.server.process) this.server.kill();
  }

  get #running() {
    return [...this.workers.values()].filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
  }

  async stop() {
    for (const child of this.#running) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    this.server.kill();
    await once(this.server.process, "exit");
    rmSync(this.folder, { recursive: true, force: true });
  }
}
