import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** Path of a file of the repository, found from the compiled test's place. */
export function atRoot(...path: string[]): string {
  return join(above("package.json"), ...path);
}

/** Path of a file under `test/fixtures`. */
export function fixture(...path: string[]): string {
  return atRoot("test", "fixtures", ...path);
}

/** Path of a file in the folder of large shared files, or undefined (with a notice) when it is not there. */
export function shared(...path: string[]): string | undefined {
  const root = process.env.DELTALLM_SHARED ?? resolve(above("package.json"), "..", "shared");
  const found = join(root, ...path);
  if (existsSync(found)) return found;
  console.log(`SKIPPED: ${found} is not there; set DELTALLM_SHARED to the folder of large test files`);
  return undefined;
}

function above(name: string): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, name))) {
    const up = dirname(folder);
    if (up === folder) throw new Error(`No ${name} above ${import.meta.url}`);
    folder = up;
  }
  return folder;
}
