import { type Kernels, Product } from "../kernels/generated.js";
import type { Thread } from "../threads/thread.js";

/**
 * Which of two relaxed instructions the ternary kernels use: 0, the 16-bit dot product, of which many fit one
 * accumulator (`pmaddubsw` + `paddw`); 1, the 32-bit one with accumulation, a single instruction on processors with
 * AVX-VNNI or SDOT and about five on others. The results have the same bits.
 */
export interface DotChoice {
  gemv: 0 | 1;
  gemm: 0 | 1;
}

const DEFAULT: DotChoice = { gemv: 0, gemm: 0 };

/** What a thread knows about its kernels. */
interface Race {
  /** Since when, and how many, products have been computed since the last race. */
  started: number;
  calls: number;
  /** Who won the last race. */
  winner: DotChoice;
  /** Races still to run, at most. */
  left: number;
  /** Milliseconds of the last race, by kernel and instruction. */
  times: readonly number[];
}
const races = new WeakMap<Kernels, Race>();

/** The race waits until the engine has had this much time to optimise the kernels; before, it would measure nothing. */
const WAIT_MS = 200;
const WAIT_CALLS = 50;
/** On a busy machine that may not be enough: there is another race until the kernels have not become faster since the last. */
const MOST_RACES = 6;
const SETTLED = 0.8;

/** A matrix in the nearest cache, and repetitions for a fifth of a millisecond: clocks of browsers are coarse. */
const ROWS = 32;
const COLUMNS = 512;
const TOKENS = 16;
const GEMV_REPEATS = 500;
const GEMM_REPEATS = 50;
const ROUNDS = 4;

/**
 * The faster choice on this processor, found for each thread by two or more races of some three milliseconds. The kernels run on
 * whatever lies in `scratch` (`matmul_scratch_bytes`): only the time counts.
 */
export function chooseDots(thread: Thread, scratch: number): DotChoice {
  const { kernels } = thread;
  let race = races.get(kernels);
  if (!race) {
    // The other build has neither instruction, and one kernel for both choices.
    const left = kernels.relaxed_dots() ? MOST_RACES : 0;
    race = { started: performance.now(), calls: 0, winner: DEFAULT, left, times: [] };
    races.set(kernels, race);
  }
  if (race.left === 0 || ++race.calls < WAIT_CALLS || performance.now() - race.started < WAIT_MS) return race.winner;
  // In the scratch: sums and unpacked codes of the kernel itself, and over them weights, activations and outputs.
  const weights = scratch + 4 * 4096;
  const records = weights + (ROWS * COLUMNS) / 4;
  const out = records + TOKENS * (16 + 3 * COLUMNS);
  const product = {
    out,
    weights,
    blockScales: 0,
    activations: records,
    scratch,
    tokens: TOKENS,
    rows: ROWS,
    columns: COLUMNS,
    scale: 1,
    accumulate: 0,
    blockRows: 0,
    offsets: 0,
    values: 0,
  };
  const gemv = (dot32: number) => {
    Product.write(thread.view(), thread.records, { ...product, dot32 });
    kernels.gemv_ternary(thread.records, 0, ROWS);
  };
  const gemm = (dot32: number) => {
    Product.write(thread.view(), thread.records, { ...product, dot32 });
    kernels.gemm_ternary(thread.records, 0, ROWS);
  };
  const before = race.times;
  race.times = [...best(gemv, GEMV_REPEATS), ...best(gemm, GEMM_REPEATS)];
  const [gemv0, gemv1, gemm0, gemm1] = race.times as [number, number, number, number];
  race.winner = { gemv: faster(gemv0, gemv1), gemm: faster(gemm0, gemm1) };
  const settled = before.length > 0 && race.times.every((time, i) => time > SETTLED * (before[i] as number));
  race.left = settled ? 0 : race.left - 1;
  race.calls = 0;
  race.started = performance.now();
  return race.winner;
}

/** The least time of some rounds with either instruction. */
function best(run: (dot32: number) => void, repeats: number): [number, number] {
  const times: [number, number] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = 0; round < ROUNDS; round++)
    for (const dot32 of [0, 1] as const) {
      const start = performance.now();
      for (let i = 0; i < repeats; i++) run(dot32);
      times[dot32] = Math.min(times[dot32], performance.now() - start);
    }
  return times;
}

/** 1 when it is clearly faster; the 16-bit instruction is good everywhere. */
function faster(time0: number, time1: number): 0 | 1 {
  return time1 < 0.9 * time0 ? 1 : 0;
}
