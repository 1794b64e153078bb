// npm run bench:file -- --shape bitnet-2b --ffn-zeros 0.8 --out FILE.gguf; --help shows the options
// Writes the random model that `deltallm bench --shape` computes to a file for other engines; the share of zero gates is
// measured on that file.
import { existsSync, statSync } from "node:fs";
import { DeltaLLMError } from "#src/errors.js";
import { openRandomModel } from "#src/formats/random-model.js";
import { loadModel } from "#src/index.js";
import { type FileType, fileTypes, writeGguf } from "./files/gguf.js";
import { readFlags, wholeFlag } from "./harness/flags.js";

const { values: flags } = readFlags("npm run bench:file -- --shape bitnet-2b --ffn-zeros 0.8 --out FILE.gguf", {
  shape: { type: "string", default: "bitnet-2b", says: "SHAPE as of deltallm bench --shape" },
  "ffn-zeros": { type: "string", says: "SHARE of zero gates, for shapes of BitNet" },
  type: {
    type: "string",
    says: "TYPE of the weights: TQ2_0 (default, for llama.cpp) or I2_S (for bitnet.cpp) for BitNet, else Q8_0 or Q4_0",
  },
  out: { type: "string", says: "FILE to write" },
  force: { type: "boolean", default: false, says: "replace FILE where there is one" },
  tokens: { type: "string", default: "64", says: "N tokens on which zeros are measured" },
});
const fail = (message: string): never => {
  console.error(message);
  process.exit(2);
};
const { shape } = flags;
const out = flags.out ?? fail("Give --out FILE.gguf");
if (existsSync(out) && !flags.force) fail(`--out ${out}: there is such a file. --force replaces it`);
const tokens = wholeFlag("tokens", flags.tokens);
const zeros = flags["ffn-zeros"];
try {
  const random = openRandomModel(zeros === undefined ? shape : `${shape}:${zeros}`);
  const types: readonly FileType[] = fileTypes[random.config.architecture === "bitnet" ? "I2_S" : "Q8_0"];
  const type = types.find((known) => known === (flags.type ?? types[0]));
  await writeGguf(random, out, type ?? fail(`--type ${flags.type}: of this shape there are ${types.join(" and ")}`));
  const size = `${(statSync(out).size / 1e6).toFixed(0)} MB`;
  if (random.config.activation !== "relu2") console.log(`${out}: ${size}`);
  else {
    await using model = await loadModel(out, { contextLength: tokens, prefixCacheBytes: 0 });
    const session = model.createSession();
    const { vocab } = model.config;
    await session.prefill(Array.from({ length: tokens }, (_, i) => (i * 7919 + 1000) % (vocab - 2)));
    const { zeroGates = 0, zeroInputs = 0 } = model.stats().ffn ?? {};
    const percent = (x: number) => `${(x * 100).toFixed(1)} %`;
    console.log(
      `${out}: ${size}; of ${tokens} tokens ${percent(zeroGates)} of the gates and ${percent(zeroInputs)} of the inputs of down are zero`,
    );
    await session.dispose();
  }
} catch (error) {
  // A wrong option, or a folder that is not there, a full disk.
  if (!(error instanceof DeltaLLMError) && !(error as NodeJS.ErrnoException).code) throw error;
  fail((error as Error).message);
}
