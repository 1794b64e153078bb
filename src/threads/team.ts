import { KernelError } from "../errors.js";
import type { Kernels } from "../kernels/generated.js";
import { givenModule, instantiateKernels, kernelModule } from "../kernels/instantiate.js";
import type { KernelBuild } from "../kernels/sources.js";
import type { Memory } from "../memory/memory.js";
import { makeThread, RECORD_BYTES, type Thread } from "./thread.js";

/** Bytes of one command, JSON in UTF-8. */
const MAILBOX_BYTES = 1 << 20;
/** The mailbox: barrier words, the length of the command, the records of every thread, the command. */
const COMMAND_LENGTH = 256;
const RECORDS = 320;
const commandText = (threads: number) => RECORDS + threads * RECORD_BYTES;
/** Rounds of the spin loop before a thread sleeps: some 50 µs, longer than most waits inside a token. Waking costs as much. */
const SPINS = 100_000;
/** Rounds in which a worker waits for the next command: what happens between two tokens takes longer. */
const COMMAND_SPINS = 1_000_000;

/** What a worker is started with; plain data. */
export interface WorkerStart {
  wasm: WebAssembly.Memory;
  build: KernelBuild;
  /** Kernels that are not those of the package. */
  module: WebAssembly.Module | undefined;
  mailbox: number;
  index: number;
  count: number;
}

/** What a thread does with a command. The same function on every thread, thread 0 included. */
export type Execute = (thread: Thread, command: unknown) => void;

/** A worker of some runtime, ready to obey. */
export interface WorkerHandle {
  terminate(): Promise<void>;
  /**
   * Whether the worker has ended, asked by a thread that is blocked and hears of no event.
   * @param waited milliseconds this thread has waited for the others
   */
  ended?(waited: number): boolean;
}

/** Starts the worker that calls `serve` and resolves when it is ready. */
export type StartWorker = (start: WorkerStart) => Promise<WorkerHandle>;

/**
 * Threads that run the same program on shared memory (SPMD). A command is written once into a mailbox in shared memory
 * and started by a barrier; there are no messages between threads.
 */
export class Team {
  readonly kernels: Kernels;
  readonly #mailbox: number;
  readonly #memory: Memory;
  readonly #thread: Thread;
  readonly #execute: Execute;
  #workers: WorkerHandle[] = [];
  #broken = false;

  private constructor(memory: Memory, build: KernelBuild, count: number, execute: Execute) {
    this.#memory = memory;
    this.#execute = execute;
    this.#mailbox = memory.alloc(commandText(count) + (count > 1 ? MAILBOX_BYTES : 0), "the thread mailbox");
    memory.u8(this.#mailbox, commandText(count)).fill(0);
    this.kernels = instantiateKernels(kernelModule(build), memory.wasm);
    this.#thread = teamThread(this.kernels, memory.wasm, this.#mailbox, { index: 0, count }, (waited) =>
      this.#workers.some((worker) => worker.ended?.(waited)),
    );
  }

  static async create(
    memory: Memory,
    build: KernelBuild,
    count: number,
    execute: Execute,
    startWorker: StartWorker | undefined,
  ): Promise<Team> {
    const team = new Team(memory, build, count, execute);
    const starts: Promise<WorkerHandle>[] = [];
    for (let index = 1; index < count && startWorker; index++)
      starts.push(
        startWorker({ wasm: memory.wasm, build, module: givenModule(build), mailbox: team.#mailbox, index, count }),
      );
    const settled = await Promise.allSettled(starts);
    team.#workers = settled.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    const failure = settled.find((result) => result.status === "rejected");
    if (failure) {
      await team.dispose();
      throw new KernelError("A worker thread could not be started", {}, "Use threads: 1", { cause: failure.reason });
    }
    return team;
  }

  get threads(): number {
    return this.#thread.count;
  }

  /**
   * Runs a command on every thread and returns when all have finished.
   * @param command plain data
   * @throws KernelError when a thread fails; the team cannot be used afterwards
   */
  run(command: unknown): void {
    if (this.#broken) throw new KernelError("A thread of this model has failed", {}, "Load the model again");
    try {
      if (this.threads > 1) {
        const text = new TextEncoder().encode(JSON.stringify(command));
        if (text.length > MAILBOX_BYTES) throw new Error(`command of ${text.length} bytes`);
        this.#memory.u8(this.#mailbox + commandText(this.threads), text.length).set(text);
        this.#memory.i32(this.#mailbox + COMMAND_LENGTH, 1)[0] = text.length;
        this.#thread.barrier();
      }
      this.#execute(this.#thread, command);
      this.#thread.barrier();
    } catch (cause) {
      this.#broken = true;
      poison(this.#memory.wasm, this.#mailbox);
      if (cause instanceof KernelError) throw cause;
      throw new KernelError("The forward pass failed", {}, "Load the model again", { cause });
    }
  }

  async dispose(): Promise<void> {
    this.#broken = true;
    if (this.threads > 1) poison(this.#memory.wasm, this.#mailbox);
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
    this.#workers = [];
  }
}

/** The loop of a worker: waits for a command, runs it, until the team is disposed of or a thread fails. */
export function serve(start: WorkerStart, execute: Execute): void {
  try {
    const kernels = instantiateKernels(start.module ?? kernelModule(start.build), start.wasm);
    const thread = teamThread(kernels, start.wasm, start.mailbox, start);
    const decoder = new TextDecoder();
    for (;;) {
      thread.barrier(COMMAND_SPINS);
      const length = new Int32Array(start.wasm.buffer, start.mailbox + COMMAND_LENGTH, 1)[0] as number;
      // Copied, because TextDecoder refuses shared memory in browsers.
      const text = new Uint8Array(start.wasm.buffer, start.mailbox + commandText(start.count), length).slice();
      execute(thread, JSON.parse(decoder.decode(text)));
      thread.barrier();
    }
  } catch (error) {
    poison(start.wasm, start.mailbox);
    if (!(error instanceof KernelError)) throw error;
  }
}

/** @param othersEnded asked every half second in which the other threads have not come, `waited` milliseconds in all */
function teamThread(
  kernels: Kernels,
  memory: WebAssembly.Memory,
  mailbox: number,
  { index, count }: { index: number; count: number },
  othersEnded?: (waited: number) => boolean,
): Thread & { barrier(spins?: number): void } {
  return makeThread(kernels, memory, mailbox + RECORDS + index * RECORD_BYTES, {
    index,
    count,
    barrier(spins = SPINS) {
      if (count === 1) return;
      let state = kernels.barrier(mailbox, count, spins);
      if (state > 1) {
        const start = performance.now();
        while (state > 1 && !othersEnded?.(performance.now() - start)) state = kernels.barrier_wait(mailbox, state & 1);
      }
      if (state !== 0) throw new KernelError("Another thread of this model has failed or the model was disposed of");
    },
  });
}

/** Tells every thread of the team, waiting or not, to stop: for whoever learns that one of them has ended. */
export function stopTeam({ wasm, mailbox }: WorkerStart): void {
  poison(wasm, mailbox);
}

/** Tells every thread, waiting or not, to stop. */
function poison(memory: WebAssembly.Memory, mailbox: number): void {
  const words = new Int32Array(memory.buffer, mailbox, 64);
  words[48] = 1;
  if (typeof SharedArrayBuffer !== "undefined" && memory.buffer instanceof SharedArrayBuffer) {
    Atomics.store(words, 48, 1);
    Atomics.notify(words, 16);
  }
}
