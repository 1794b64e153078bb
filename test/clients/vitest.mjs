// The example for vitest in docs/library.md, in a project of its own: written once, then compared with its snapshot.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = resolve(fileURLToPath(import.meta.url), "..");
const root = resolve(here, "../..");

export async function run({ check, expect }) {
  await check("vitest: the example of docs/library.md, twice with one snapshot", async () => {
    const page = readFileSync(join(root, "docs/library.md"), "utf8");
    const [, code] = page.match(/```ts\n(import [^\n]* from "vitest";\n[\s\S]*?)```/);
    const folder = mkdtempSync(join(here, "node_modules", ".vitest-"));
    try {
      mkdirSync(join(folder, "node_modules"));
      symlinkSync(root, join(folder, "node_modules", "deltallm"));
      writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
      writeFileSync(join(folder, "story.test.ts"), code);
      const vitest = (...args) =>
        spawnSync(process.execPath, [join(here, "node_modules/vitest/vitest.mjs"), "run", ...args], {
          cwd: folder,
          encoding: "utf8",
        });
      const first = vitest("--update");
      expect(first.status === 0, first.stdout + first.stderr);
      expect(readdirSync(join(folder, "__snapshots__")).length === 1, "no snapshot was written");
      const snapshot = readFileSync(join(folder, "__snapshots__/story.test.ts.snap"), "utf8");
      expect(/tells a story/.test(snapshot), snapshot);
      const second = vitest("--no-update");
      expect(second.status === 0 && /1 passed/.test(second.stdout), second.stdout + second.stderr);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}
