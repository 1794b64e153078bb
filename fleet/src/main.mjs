#!/usr/bin/env node
import { Command, InvalidArgumentError } from "commander";
import * as fleet from "./index.mjs";

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
  .description("Batches of language model jobs over many machines, with Redis or Valkey between")
  .option("--redis <address>", "address of Redis", process.env.DELTALLM_FLEET_REDIS ?? "redis://127.0.0.1:6379")
  .option("--prefix <word>", "what all keys in Redis begin with", "deltallm");

/** Runs a command with the store open. */
const withStore = (run) =>
  async function action(...given) {
    const store = new fleet.Store(program.opts());
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

modelOptions(program.command("enqueue").description("Put an OpenAI batch file (JSONL) into the queue"))
  .argument("<file>")
  .option("--priority <n>", "1 (first) to 2097152", whole, 100)
  .option("--attempts <n>", "tries per job", whole, 3)
  .option("--max-waiting <n>", "jobs in the queue above which adding waits", whole, 10000)
  .action(
    withStore(async (store, input, { loadOptions: options, ...rest }) =>
      say(await fleet.enqueue(store, { input, options, ...rest })),
    ),
  );

modelOptions(program.command("worker").description("Take jobs until SIGTERM; then finish those begun"))
  .option("--name <name>", "name of this machine")
  .option("--concurrency <n>", "jobs at once", whole, 4)
  .option("--lock <ms>", "ms after which a silent worker's jobs go to others", whole, 30000)
  .option("--stalls <n>", "how often a job may lose its worker", whole, 5)
  .option("--timeout <s>", "seconds a job may take", whole, 3600)
  .action(async ({ loadOptions: options, ...rest }) => {
    const log = (line) => console.error(line);
    const worker = await fleet.startWorker({ ...program.opts(), options, ...rest, log });
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
  .option("--json", "as JSON")
  .action(
    withStore(async (store, batch, { json: asJson }) => {
      const names = batch ? [batch] : await fleet.listBatches(store);
      const batches = [];
      for (const name of names) batches.push(await fleet.batchStatus(store, name));
      const machines = await fleet.machines(store);
      if (asJson) return say({ batches, machines });
      for (const each of batches) {
        const time = each.secondsLeft === null ? "unknown" : `${Math.ceil(each.secondsLeft)} s`;
        const end = each.cancelled ? "cancelled" : each.complete ? "complete" : `${each.left} left, time left ${time}`;
        console.log(`${each.batch}  ${each.done}/${each.total} done, ${each.failed} failed, ${end}`);
      }
      for (const { name, state, done, jobsPerSecond, reason } of machines)
        console.log(
          `${name}  ${state}, ${done} done, ${jobsPerSecond.toFixed(2)} jobs/s${reason ? `: ${reason}` : ""}`,
        );
    }),
  );

program
  .command("collect")
  .description("Write a batch's answers as OpenAI batch output")
  .argument("<batch>")
  .requiredOption("--output <file>", "answers")
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
  .action(withStore((store, name) => store.redis.hdel(store.key("out"), name)));

try {
  await program.parseAsync();
  process.exit(0);
} catch (error) {
  console.error(error instanceof fleet.FleetError ? error.message : (error.stack ?? error));
  process.exit(1);
}
