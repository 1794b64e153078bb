import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { loadModel } from "#src/index.js";
import { atRoot } from "../helpers/fixtures.js";

const folder = mkdtempSync(join(tmpdir(), "deltallm-random-"));
test.after(() => rmSync(folder, { recursive: true }));
const run = (script: string, line: string) =>
  spawnSync(process.execPath, [atRoot(script), ...line.split(" ")], { encoding: "utf8", cwd: folder });
const bench = (line: string) => run("dist/cli/main.js", `bench --threads 1 -p 64 -n 8 ${line}`);
const make = (line: string) => run("build/bench/random-file.js", `--shape bitnet-tiny ${line}`);

/** Logits of a few tokens, and shares of zeros. */
async function compute(source: string) {
  await using model = await loadModel(source, { threads: 1, contextLength: 128, prefixCacheBytes: 0 });
  const session = model.createSession();
  const ids = Array.from({ length: 48 }, (_, i) => (i * 7919 + 1000) % 2046);
  const logits = Array.from(await session.prefill(ids));
  for (let i = 0; i < 4; i++) logits.push(...(await session.step(ids[i] as number)));
  await session.dispose();
  const { zeroGates, zeroInputs } = model.stats().ffn ?? {};
  return { logits, zeroGates, zeroInputs, config: { ...model.config, name: "" } };
}

test("bench --ffn-zeros: about that share of the gates is zero, as counted, in prefill and decode", () => {
  for (const share of [0.5, 0.65, 0.8, 0.95]) {
    const { status, stdout, stderr } = bench(`--shape bitnet-tiny --ffn-zeros ${share} --json`);
    assert.is(status, 0, stderr);
    const { prefill, decode } = JSON.parse(stdout).ffn;
    assert.ok(Math.abs(prefill.zeroGates - share) < 0.04, `${share}: ${prefill.zeroGates}`);
    assert.ok(Math.abs(decode.zeroGates - share) < 0.06, `${share}: ${decode.zeroGates}`);
    assert.ok(prefill.zeroInputs >= prefill.zeroGates && decode.zeroInputs >= decode.zeroGates);
  }
  const { stdout } = bench("--shape bitnet-tiny --ffn-zeros 0.8");
  assert.match(stdout, /zeros, prefill +(7[6-9]|8[0-4])\.\d % of gates/);
});

test("bench --ffn-zeros: a share that is none, a shape without relu² or no shape are refused in one line", () => {
  for (const line of [
    ...["0.2", "0.99", "1", "80", "-1", "NaN", "most"].map((share) => `--shape bitnet-tiny --ffn-zeros ${share}`),
    "--shape llama-1b --ffn-zeros 0.8",
    "--shape smollm2 --ffn-zeros 0.8",
    "--ffn-zeros 0.8",
  ]) {
    const { status, stdout, stderr } = bench(line);
    assert.is(status, 2, `${line}: ${stderr}`);
    assert.is(stdout, "");
    assert.match(stderr, /^(deltallm|error): [^\n]+(\n[^\n]+)?\n$/, line);
  }
});

test("a file of random weights is that model in every type: the same logits, the same zeros, nothing left beside it", async () => {
  const random = await compute("random:bitnet-tiny:0.8");
  assert.ok(Math.abs((random.zeroGates ?? 0) - 0.8) < 0.05, String(random.zeroGates));
  for (const type of ["TQ2_0", "I2_S"]) {
    const name = `${type}.gguf`;
    const { status, stdout, stderr } = make(`--ffn-zeros 0.8 --type ${type} --out ${name}`);
    assert.is(status, 0, stderr);
    assert.match(
      stdout,
      /gguf: \d+ MB; of 64 tokens (7[6-9]|8[0-4])\.\d % of the gates and .+ % of the inputs of down are zero/,
    );
    const file = await compute(join(folder, name));
    assert.equal(file.logits, random.logits);
    assert.is(file.zeroGates, random.zeroGates);
    assert.is(file.zeroInputs, random.zeroInputs);
    assert.equal(file.config, random.config);
  }
  assert.equal(readdirSync(folder).sort(), ["I2_S.gguf", "TQ2_0.gguf"]);
});

test("other shapes are written with 8 bits, or 4, and read back", async () => {
  for (const type of ["Q8_0", "Q4_0"]) {
    const { status, stdout, stderr } = make(`--shape smollm2 --type ${type} --out ${type}.gguf`);
    assert.is(status, 0, stderr);
    assert.match(stdout, type === "Q8_0" ? /14[0-9] MB/ : /9[0-9] MB/);
    await using model = await loadModel(join(folder, `${type}.gguf`), { threads: 1, contextLength: 64 });
    const logits = await model.createSession().prefill([5, 6]);
    assert.ok(logits.every(Number.isFinite));
    rmSync(join(folder, `${type}.gguf`));
  }
});

test("what cannot be written is refused, and no file is lost or half written", () => {
  writeFileSync(join(folder, "mine.gguf"), "mine");
  for (const [line, says] of [
    ["--out mine.gguf", /--force/],
    ["--out other.gguf --type Q4_0", /TQ2_0 and I2_S/],
    ["--out other.gguf --ffn-zeros 2", /0\.5 to 0\.95/],
    ["--out missing/other.gguf", /missing/],
    ["--ffn-zeros 0.8", /--out/],
  ] as const) {
    const { status, stderr } = make(line);
    assert.is(status, 2, line);
    assert.match(stderr, says);
  }
  assert.is(make("--out mine.gguf --force").status, 0);
  assert.ok(readdirSync(folder).every((name) => name.endsWith(".gguf") && name !== "other.gguf"));
});

test.run();
