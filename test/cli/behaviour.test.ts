import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { printable } from "#src/cli/format.js";
import { flagNames, inFlags } from "#src/cli/options.js";
import { createProgram } from "#src/cli/program.js";
import type { Terminal } from "#src/cli/terminal.js";
import { FormatError, KernelError } from "#src/errors.js";
import { runFake } from "../helpers/cli.js";

test("Ctrl-C stops a generation, keeps what is there and exits with 130", async () => {
  const { code, stdout, asked } = await runFake(["generate", "p", "-n", "100"], { interruptAfter: 3 });
  assert.is(code, 130);
  assert.is(stdout, "Once upon a\n");
  assert.is(asked.disposed, 1);
});

test("Ctrl-C with --json prints the object of what is there", async () => {
  const { code, stdout } = await runFake(["generate", "p", "-n", "100", "--json"], { interruptAfter: 3 });
  assert.is(code, 130);
  assert.equal(JSON.parse(stdout).tokens, [0, 1, 2]);
});

test("Ctrl-C ends a chat that is fed from a pipe", async () => {
  const { code, stdout } = await runFake(["chat"], { stdin: "a\nb\n", interruptAfter: 2 });
  assert.is(code, 130);
  assert.is(stdout, "Once upon\n\n");
});

test("a reader that goes away ends the command quietly", async () => {
  const { code, stdout, stderr, asked } = await runFake(["generate", "p", "-n", "100"], { closeAfter: 2 });
  assert.is(code, 0);
  assert.is(stdout, "Once upon");
  assert.is(stderr, "");
  assert.is(asked.disposed, 1);
});

test("options that messages name are there, and every option to choose tokens is named as on the command line", () => {
  const { commands } = createProgram({} as Terminal, () => {});
  const flags = new Set(commands.flatMap(({ options }) => options.map(({ long }) => long)));
  for (const [option, flag] of Object.entries(flagNames)) assert.ok(flags.has(flag), `${option}: ${flag}`);
  assert.is(
    inFlags("dryBase, logitBias and contextOverflow (repetitionWindow)"),
    "--dry-base, --logit-bias and --context-overflow (--repeat-window)",
  );
});

test("errors are one line, with a stack only on demand", async () => {
  const loadError = new FormatError("The header ends early", { file: "m.gguf", offset: 12 }, "Download it again");
  const brief = await runFake(["generate", "p"], { loadError });
  assert.is(brief.code, 2);
  assert.is(brief.stderr, "deltallm: The header ends early (m.gguf, byte 12). Download it again\n");
  for (const [args, env] of [
    [["generate", "p", "--verbose"], {}],
    [["generate", "p"], { DEBUG: "1" }],
  ] as const)
    assert.match((await runFake([...args], { loadError, env })).stderr, /\n {4}at /);
  assert.is((await runFake(["generate", "p"], { loadError: new KernelError("No SIMD") })).code, 3);
  assert.is(
    (await runFake(["generate", "p"], { loadError: new TypeError("oops") })).stderr,
    "deltallm: TypeError: oops\n",
  );
});

test("wrong options are refused before a model is loaded", async () => {
  for (const line of [
    "generate p --top-p 2",
    "generate p --temperature warm",
    "generate p --temperature -1",
    "generate p --kernel gpu",
    "generate p --kv-cache f64",
    "generate p --head q2",
    "generate p --threads 0",
    "generate p -n -1",
    "generate p --attention delta --threshold 1 --sparsity 0.5",
    "generate p --unknown",
    "generate p q",
    "score --ctx 1",
    "nonsense",
    "",
  ]) {
    const { code, stdout, stderr, asked } = await runFake(line.split(" ").filter(Boolean));
    assert.is(code, 2, line);
    assert.is(stdout, "", line);
    assert.ok(stderr.length > 0, line);
    assert.is(asked.source, undefined, line);
  }
});

test("--version and --help go to stdout, with 0", async () => {
  const { version } = JSON.parse(readFileSync("package.json", "utf8"));
  assert.equal(await runFake(["--version"]).then(({ code, stdout }) => [code, stdout]), [0, `${version}\n`]);
  const commands = ["generate", "chat", "tokenize", "logits", "score", "verify", "inspect", "bench"];
  const { code, stdout } = await runFake(["--help"]);
  assert.is(code, 0);
  for (const command of commands) {
    assert.match(stdout, command);
    const help = await runFake([command, "--help"]);
    assert.is(help.code, 0);
    assert.match(help.stdout, "Examples:");
    assert.match(help.stdout, "--model");
  }
});

test("a progress bar appears after a second, on a terminal only, and goes away", async () => {
  const [terminal, pipe] = await Promise.all([
    runFake(["generate", "p"], { stderrTTY: true, loadMs: 1300 }),
    runFake(["generate", "p"], { loadMs: 1300 }),
  ]);
  assert.match(terminal.stderr, /Loading {3}█+░* +\d+ % \d+ MB/);
  assert.ok(terminal.stderr.endsWith("\r\x1b[K"));
  assert.is(pipe.stderr, "");
  assert.is((await runFake(["generate", "p"], { stderrTTY: true })).stderr, "");
});

test("colours only on a terminal that wants them", async () => {
  assert.match((await runFake(["generate", "p"], { stdoutTTY: true })).stdout, "\x1b[1mp\x1b[22m");
  assert.not.match((await runFake(["generate", "p"], { stdoutTTY: true, env: { NO_COLOR: "1" } })).stdout, "\x1b");
  assert.not.match((await runFake(["inspect"])).stdout, "\x1b");
});

test("control characters of a model do not reach a terminal", () => {
  assert.is(printable("a\x1b[2Jb\x07c\n\td\u009be\r"), "a[2Jbc\n\tde");
});

test.run();
