// Embeds the WebAssembly of npm `tiktoken` in src/tokenizer/tiktoken-binary.ts, so that no runtime and no bundler has to
// find a .wasm file. Skipped when it is there and the package has not changed.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const out = "src/tokenizer/tiktoken-binary.ts";
const require = createRequire(import.meta.url);
const { version } = JSON.parse(
  readFileSync(require.resolve("tiktoken/load").replace("load.cjs", "package.json"), "utf8"),
);
const stamp = `// tiktoken ${version}, lite/tiktoken_bg.wasm; written by scripts/embed-tiktoken.mjs, not committed.`;
if (!existsSync(out) || !readFileSync(out, "utf8").startsWith(`${stamp}\n`)) {
  const bytes = readFileSync(require.resolve("tiktoken/lite/tiktoken_bg.wasm"));
  writeFileSync(
    out,
    `${stamp}\n\n/** The module, base64. */\nexport const tiktokenBinary =\n  "${bytes.toString("base64")}";\n`,
  );
}
