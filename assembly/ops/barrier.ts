// Words of a barrier, each on a cache line of its own so that spinning does not slow the arrivals.
const ARRIVED: usize = 0;
const GENERATION: usize = 64;
const SLEEPERS: usize = 128;
const POISON: usize = 192;

/**
 * Returns when `count` threads have called it: spins `spins` times, then sleeps. 256 zeroed bytes at `address`.
 * Returns 1 when a thread has failed and the others must stop (word at `address + 192` not 0), else 0.
 * Without shared memory there is one thread, and nothing to wait for.
 */
export function barrier(address: usize, count: i32, spins: i32): i32 {
  if (!ASC_FEATURE_THREADS) return 0;
  const generation = atomic.load<i32>(address + GENERATION);
  if (atomic.add<i32>(address + ARRIVED, 1) == count - 1) {
    atomic.store<i32>(address + ARRIVED, 0);
    atomic.store<i32>(address + GENERATION, generation + 1);
    // A sleeper counts itself before it looks at the generation again, so none is missed.
    if (atomic.load<i32>(address + SLEEPERS) != 0) atomic.notify(address + GENERATION, -1);
    return atomic.load<i32>(address + POISON);
  }
  for (let i = 0; i < spins; i++) {
    if (atomic.load<i32>(address + GENERATION) != generation) return atomic.load<i32>(address + POISON);
  }
  atomic.add<i32>(address + SLEEPERS, 1);
  while (atomic.load<i32>(address + GENERATION) == generation && atomic.load<i32>(address + POISON) == 0) {
    atomic.wait<i32>(address + GENERATION, generation, 1_000_000_000);
  }
  atomic.sub<i32>(address + SLEEPERS, 1);
  return atomic.load<i32>(address + POISON);
}
