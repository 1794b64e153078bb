// The package as a user gets it: packed, installed into an empty folder, with the tests beside it.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(fileURLToPath(import.meta.url), "../..");

/** Runs a command and returns its output; throws with its error output when it fails. */
export function run(command, args, options = {}) {
  const { status, signal, stdout, stderr, error } = spawnSync(command, args, {
    encoding: "utf8",
    timeout: 600_000,
    maxBuffer: 1 << 26,
    ...options,
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${signal ?? status}\n${stdout}${stderr}`);
  return stdout;
}

/** Builds, packs and installs; returns the folder, and what the tarball weighs with and without the embedded model. */
export function installPackage() {
  run("npm", ["run", "--silent", "prepack"], { cwd: root });
  const folder = mkdtempSync(join(tmpdir(), "deltallm-"));
  const packed = run("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", folder], { cwd: root });
  run("npm", ["run", "--silent", "postpack"], { cwd: root });
  const answer = JSON.parse(packed);
  // npm 12 answers with an object of packages by name, npm 11 and earlier with a list of them.
  const [{ filename }] = Array.isArray(answer) ? answer : Object.values(answer);
  const tarball = join(folder, filename);
  writeFileSync(join(folder, "package.json"), '{ "type": "module", "private": true }\n');
  run("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", tarball], { cwd: folder });
  for (const name of ["suite.mjs", "checks", "run.mjs", "uncaught.mjs", "types.ts", "pages"])
    cpSync(join(root, "runtime-tests", name), join(folder, name), { recursive: true });
  cpSync(join(root, "test/fixtures/calibration/smollm2.json"), join(folder, "smollm2.calibration.json"));
  mkdirSync(join(folder, "built"));
  writeFileSync(join(folder, "example.mjs"), exampleOfReadme());
  return { folder, tarball, bytes: statSync(tarball).size, bytesWithoutModel: weightWithoutModel(tarball) };
}

/** What the tarball would weigh without the embedded model and its calibration. */
function weightWithoutModel(tarball) {
  const folder = mkdtempSync(join(tmpdir(), "deltallm-"));
  try {
    run("tar", ["xzf", tarball, "-C", folder]);
    for (const name of ["story.gguf", "story.calibration.json"]) rmSync(join(folder, "package/weights", name));
    run("tar", ["czf", join(folder, "rest.tgz"), "-C", folder, "package"], { env: { ...process.env, GZIP: "-9" } });
    return statSync(join(folder, "rest.tgz")).size;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The README's example; `await using` written out for runtimes that do not know it yet. */
function exampleOfReadme() {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const code = /```js\n([\s\S]*?)```/.exec(readme)?.[1];
  if (!code) throw new Error("no example in the README");
  return `${code.replace("await using model", "const model")}\nawait model.dispose();\n`;
}
