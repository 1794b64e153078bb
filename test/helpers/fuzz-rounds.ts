import { Random } from "./header-fuzz.js";

/** How long each fuzzed test goes on after its fixed seeds. */
export const fuzzMinutes = Number(process.env.DELTALLM_FUZZ_MINUTES ?? 0);

/**
 * Runs an attempt for each of a fixed list of seeds, and then, as long as the environment allows it, for further ones.
 * - `DELTALLM_FUZZ_MINUTES=90`: each fuzzed test goes on for 90 minutes; without it, the fixed seeds only (seconds each).
 * - `DELTALLM_FUZZ_SEED=1234`: only that seed, to see a failure again.
 * The error of a failing attempt names its seed.
 * @returns how many attempts were run
 */
export async function fuzzRounds(
  count: number,
  attempt: (random: Random, seed: number) => Promise<void> | void,
): Promise<number> {
  const only = process.env.DELTALLM_FUZZ_SEED;
  const end = performance.now() + fuzzMinutes * 60_000;
  const first = only === undefined ? 1 : Number(only);
  let seed = first;
  for (; only === undefined ? seed <= count || performance.now() < end : seed === first; seed++)
    try {
      await attempt(new Random(seed), seed);
    } catch (error) {
      throw new Error(`DELTALLM_FUZZ_SEED=${seed}: ${(error as Error)?.stack ?? error}`);
    }
  return seed - first;
}
