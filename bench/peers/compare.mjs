// deltallm against native llama.cpp, in turn, in one run; medians and spread of the ratios:
//   node bench/peers/compare.mjs --ours MODEL|random:SHAPE --theirs FILE.gguf [--threads 2] [--prompt 128] [--decode 32]
//        [--depth 0] [--flash] [--rounds 5] [--node PATH] [--json FILE] [-- further options of `deltallm bench`]
// Needs the packages of this folder: npm install --ignore-scripts in bench/peers. The same random weights for both, 80 % of the
// gates zero: npm run bench:file -- --ffn-zeros 0.8 --out FILE.gguf, then --ours random:bitnet-2b … -- --ffn-zeros 0.8
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ours: { type: "string" },
    theirs: { type: "string" },
    threads: { type: "string", default: "2" },
    prompt: { type: "string", default: "128" },
    decode: { type: "string", default: "32" },
    depth: { type: "string", default: "0" },
    flash: { type: "boolean", default: false },
    rounds: { type: "string", default: "5" },
    node: { type: "string", default: process.execPath },
    json: { type: "string" },
  },
});
if (!values.ours || !values.theirs) throw new Error("Give --ours and --theirs");

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const run = (command, args) => {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 26 });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed:\n${stderr}`);
  return JSON.parse(stdout.trim().split("\n").at(-1));
};
const { threads, prompt, decode, depth } = values;
const deltallm = (options) =>
  run(values.node, [path("../../dist/cli/main.js"), "bench", "--threads", threads, "--json", ...options]);
const ours = () => {
  const source = values.ours.startsWith("random:") ? ["--shape", values.ours.slice(7)] : ["--model", values.ours];
  return deltallm([...source, "-p", prompt, "-n", decode, "-d", depth, ...positionals]);
};
const theirs = () => {
  const options = ["--threads", threads, "--prompt", prompt, "--decode", decode, "--depth", depth];
  return run(process.execPath, [
    path("native-llama.mjs"),
    values.theirs,
    ...options,
    ...(values.flash ? ["--flash"] : []),
  ]);
};

const sorted = (numbers) => [...numbers].sort((a, b) => a - b);
const middle = (numbers) => sorted(numbers)[Math.floor(numbers.length / 2)];
const show = (numbers) =>
  `${middle(numbers).toFixed(2)} (${sorted(numbers)[0].toFixed(2)} … ${sorted(numbers).at(-1).toFixed(2)})`;

const rounds = [];
for (let round = 0; round < Number(values.rounds); round++) {
  rounds.push({ ours: ours(), theirs: theirs() });
  console.error(
    `round ${round + 1}: ${["prefill", "decode"].map((work) => `${work} ${rounds.at(-1).ours[work].tokensPerSecond.toFixed(1)} / ${rounds.at(-1).theirs[work].tokensPerSecond.toFixed(1)}`).join(", ")} tok/s`,
  );
}
console.log(
  `${cpus()[0].model}, ${threads} threads, ${prompt} + ${decode} tokens after ${depth}; median (least … most) of ${rounds.length} rounds`,
);
console.log("|  | deltallm tok/s | llama.cpp tok/s | ratio |\n|---|---|---|---|");
for (const work of ["prefill", "decode"]) {
  const [a, b] = ["ours", "theirs"].map((who) => rounds.map((round) => round[who][work].tokensPerSecond));
  console.log(`| ${work} | ${show(a)} | ${show(b)} | ${show(a.map((value, i) => value / b[i]))} |`);
}
const [a, b] = ["ours", "theirs"].map((who) =>
  middle(rounds.map((round) => round[who].residentBytes ?? round[who].memoryBytes)),
);
console.log(`| memory | ${(a / 2 ** 20).toFixed(0)} MiB | ${(b / 2 ** 20).toFixed(0)} MiB | ${(a / b).toFixed(2)} |`);
// llama.cpp does not count zeros: those of its file are counted by deltallm.
const zeroGates = rounds[0].ours.ffn?.decode.zeroGates;
if (zeroGates !== undefined) {
  let file = "cannot be counted";
  try {
    const { zeroGates } = deltallm(["--model", values.theirs, "-p", "64", "-n", "1", "--ctx", "256"]).ffn.prefill;
    file = `${(zeroGates * 100).toFixed(1)} %`;
  } catch {}
  console.log(`zero gates: deltallm ${(zeroGates * 100).toFixed(1)} %, the file of llama.cpp ${file}`);
}
if (values.json) writeFileSync(values.json, JSON.stringify(rounds, null, 1));
