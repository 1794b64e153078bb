#!/usr/bin/env node
import { Command, InvalidArgumentError } from "commander";
import * as fleet from "./index.mjs";
import { statusText } from "./status-text.mjs";

const whole = (text) => {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError("It takes a whole number from 1.");
  return value;
};
const json = (text) => {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidArgumentError(error.message);
  }
};
const say = (value) => console.log(JSON.stringify(value));
const program = new Command("deltallm-fleet")
  .description("Batches of language model jobs over many machines, with Redis, Valkey or PostgreSQL between")
  .option("--redis <address>", "address of Redis or Valkey (default: redis://127.0.0.1:6379)")
  .option("--postgres <address>", "address of PostgreSQL, in place of Redis")
  .option("--prefix <word>", "what all keys, or names of schemas, begin with", "deltallm");

/** Where the store is: as the options say, otherwise as the environment does. */
function place() {
  const { redis, postgres, prefix } = program.opts();
  if (redis || postgres) return { redis, postgres, prefix };
  return { redis: process.env.DELTALLM_FLEET_REDIS, postgres: process.env.DELTALLM_FLEET_POSTGRES, prefix };
}

/** Runs a command with the store open. */
const withStore = (run) =>
  async function action(...given) {
    const store = await fleet.openStore(place());
    try {
      await run(store, ...given);
    } finally {
      await store.close();
    }
  };
const modelOptions = (command) =>
  command
    .requiredOption("--model <model>", "file, address or name of the model, as for deltallm")
    .option("--load-options <json>", 'options of loadModel, such as {"contextLength":2048}', json);

const queueOptions = (command) =>
  command
    .option("--priority <n>", "1 (first) to 2097152", whole, 100)
    .option("--attempts <n>", "tries per job", whole, 3)
    .option("--max-waiting <n>", "jobs in the queue above which adding waits", whole, 10000);

queueOptions(modelOptions(program.command("enqueue").description("Put an OpenAI batch file (JSONL) into the queue")))
  .argument("<file>")
  .action(
    withStore(async (store, input, { loadOptions: options, ...rest }) =>
      say(await fleet.enqueue(store, { input, options, ...rest })),
    ),
  );

queueOptions(
  program
    .command("evaluate")
    .description("Put an evaluation, or a sweep, into the queue: evaluate ... -- --tasks piqa"),
)
  .requiredOption("--model <model>", "file, address or name of the model, as for deltallm")
  .option("--shards <n>", "parts that each point is cut into", whole, 8)
  .argument("<options...>", "after --: options of deltallm eval")
  .action(
    withStore(async (store, words, settings) => say(await fleet.enqueueEvaluation(store, { words, ...settings }))),
  );

modelOptions(program.command("worker").description("Take jobs until SIGTERM; then finish those begun"))
  .option("--name <name>", "name of this machine")
  .option("--concurrency <n>", "jobs at once", whole, 4)
  .option("--no-evaluations", "take no shards of evaluations")
  .option("--memory <MiB>", "for the model and its jobs (default: 90 % of the machine's)", (n) => whole(n) * 2 ** 20)
  .option("--from <address...>", "servers to fetch a model sha256:HASH from")
  .option("--share <host:port>", "where other machines can have the model's file")
  .option("--lock <ms>", "ms after which a silent worker's jobs go to others", whole, 30000)
  .option("--stalls <n>", "how often a job may lose its worker", whole, 5)
  .option("--timeout <s>", "seconds a job may take", whole, 3600)
  .action(async ({ loadOptions: options, ...rest }) => {
    const log = (line) => console.error(line);
    const worker = await fleet.startWorker({ ...place(), options, ...rest, log });
    log(`${worker.name} takes jobs for ${worker.fingerprint}`);
    let asked = 0;
    for (const signal of ["SIGTERM", "SIGINT"])
      process.on(signal, () => {
        if (asked++ > 0) process.exit(1);
        log("finishing the jobs begun; a second signal ends at once");
        worker.close();
      });
    await worker.closed;
    await worker.close();
  });

program
  .command("status")
  .description("How far batches are, and the machines")
  .argument("[batch]")
  .option("--json", "one JSON object")
  .option("--watch", "again every second, until the batches are complete")
  .action(
    withStore(async (store, batch, { json: asJson, watch }) => {
      for (;;) {
        const names = batch ? [batch] : await fleet.listBatches(store);
        const batches = [];
        for (const name of names) batches.push(await fleet.batchStatus(store, name));
        const machines = await fleet.machines(store);
        if (asJson) say({ batches, machines });
        else console.log(`${watch && process.stdout.isTTY ? "\x1b[H\x1b[J" : ""}${statusText({ batches, machines })}`);
        if (!watch || batches.every(({ complete }) => complete)) return;
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }
    }),
  );

program
  .command("collect")
  .description("Write a batch's answers as OpenAI batch output, or its logs of evaluations")
  .argument("<batch>")
  .requiredOption("--output <file>", "answers; of evaluations a folder")
  .option("--errors <file>", "requests refused, failed or cancelled; default: the output's name with .errors")
  .option("--wait", "until the batch is complete")
  .option("--partial", "what is there now")
  .action(
    withStore(async (store, batch, options) => {
      while (options.wait && !(await fleet.batchStatus(store, batch)).complete)
        await new Promise((resolve) => setTimeout(resolve, 1000));
      say(await fleet.collect(store, batch, options));
    }),
  );

program
  .command("dead")
  .description("List jobs of a batch that have used up their tries, and why")
  .argument("<batch>")
  .action(withStore(async (store, batch) => (await fleet.deadLetters(store, batch)).forEach(say)));
program
  .command("retry")
  .description("Put a batch's dead letters back into the queue")
  .argument("<batch>")
  .action(withStore(async (store, batch) => say({ retried: await fleet.retryBatch(store, batch) })));
program
  .command("cancel")
  .description("Take a batch's jobs out of the queue; results stay")
  .argument("<batch>")
  .action(withStore(async (store, batch) => say({ removed: await fleet.cancelBatch(store, batch) })));
program
  .command("forget")
  .description("Cancel a batch and delete it with its results")
  .argument("<batch>")
  .action(withStore((store, batch) => fleet.forgetBatch(store, batch)));
program
  .command("readmit")
  .description("Let a machine that was put out take jobs again")
  .argument("<machine>")
  .action(withStore((store, name) => store.readmit(name)));

try {
  await program.parseAsync();
  process.exit(0);
} catch (error) {
  console.error(error instanceof fleet.FleetError ? error.message : (error.stack ?? error));
  process.exit(1);
}
