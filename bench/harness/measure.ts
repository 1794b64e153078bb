import { Bench } from "tinybench";
import type { Case, Environment, Group, Result, Size, Suite } from "./suite.js";

export interface Effort {
  /** How often every case of a group is visited. */
  rounds: number;
  /** Milliseconds per group after which there are only as many rounds as must be. */
  budget: number;
  /** Milliseconds per case and round. */
  time: number;
  /** Milliseconds of running before the first round, so that the engine has optimised the kernels. */
  warmup: number;
}

export const efforts: Record<Size, Effort> = {
  smoke: { rounds: 1, budget: 0, time: 0, warmup: 0 },
  quick: { rounds: 7, budget: 15_000, time: 25, warmup: 60 },
  full: { rounds: 15, budget: 60_000, time: 80, warmup: 200 },
};

/** Fewer rounds would say nothing about the spread. */
const FEWEST_ROUNDS = 5;

/** Shortest timed piece, in milliseconds: clocks of browsers are coarse. Shorter calls are timed several at once. */
const SHORTEST = 0.5;

/**
 * Times the cases of a group. Each round visits every case, every other round backwards, so that a slow spell of the
 * machine falls on all of them alike; the sample of a round is the median of its calls.
 */
export async function measureCases(
  suite: Suite,
  group: string,
  cases: readonly Case[],
  effort: Effort,
): Promise<Result[]> {
  const repeats: number[] = [];
  for (const { run } of cases) repeats.push(effort.time > 0 ? await warmUp(run, effort.warmup) : 1);
  const samples = cases.map((): number[] => []);
  const start = performance.now();
  for (let round = 0; round < effort.rounds; round++) {
    if (round >= FEWEST_ROUNDS && performance.now() - start > effort.budget) break;
    const order = cases.map((_, i) => i);
    if (round % 2) order.reverse();
    const bench = new Bench({ time: effort.time, iterations: 1, warmup: false, throws: true });
    for (const i of order) bench.add(String(i), repeated((cases[i] as Case).run, repeats[i] as number));
    await bench.run();
    for (const { name, result } of bench.tasks) {
      if (!("latency" in result)) throw new Error(`${suite.name}, ${group}: no time was measured`);
      samples[Number(name)]?.push(result.latency.p50 / (repeats[Number(name)] as number));
    }
  }
  return cases.map(({ name, labels, work, facts }, i) => ({
    suite: suite.name,
    group,
    name,
    labels,
    unit: suite.unit,
    work,
    samples: samples[i] as number[],
    facts: facts?.() ?? {},
  }));
}

/** Runs a case for a while; returns how many calls make a timed piece. */
async function warmUp(run: () => unknown, warmup: number): Promise<number> {
  const start = performance.now();
  let least = Number.POSITIVE_INFINITY;
  // Doubling until a piece is long enough for the clock.
  for (let calls = 1; ; calls = Math.min(calls * 2, 1 << 20)) {
    const before = performance.now();
    for (let i = 0; i < calls; i++) {
      const result = run();
      if (!(result instanceof Promise)) continue;
      await result;
      if (performance.now() - start >= warmup) return 1;
    }
    const took = performance.now() - before;
    if (took >= SHORTEST) least = Math.min(least, took / calls);
    if (took >= SHORTEST && performance.now() - start >= warmup) return Math.max(1, Math.ceil(SHORTEST / least));
  }
}

function repeated(run: () => unknown, times: number): () => unknown {
  if (times === 1) return run;
  return () => {
    let overriddenDuration: number | undefined;
    for (let i = 0; i < times; i++) {
      const result = run() as { overriddenDuration?: number } | undefined;
      if (result?.overriddenDuration !== undefined)
        overriddenDuration = (overriddenDuration ?? 0) + result.overriddenDuration;
    }
    return overriddenDuration === undefined ? undefined : { overriddenDuration };
  };
}

/** A group that is to be measured. */
export interface Planned {
  suite: Suite;
  group: Group;
}

/** The groups whose "suite group" contains every word. */
export function plan(suites: readonly Suite[], environment: Environment, words: readonly string[] = []): Planned[] {
  return suites
    .flatMap((suite) => suite.groups(environment).map((group) => ({ suite, group })))
    .filter(({ suite, group }) => words.every((word) => `${suite.name} ${group.name}`.includes(word)));
}

/** Prepares, measures and disposes of one group. */
export async function measureGroup({ suite, group }: Planned, size: Size): Promise<Result[]> {
  const prepared = await group.prepare();
  try {
    return await measureCases(suite, group.name, prepared.cases, efforts[size]);
  } finally {
    await prepared.dispose?.();
  }
}
