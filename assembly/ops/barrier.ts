// Words of a barrier, each on a cache line of its own so that spinning does not slow the arrivals.
const ARRIVED: usize = 0;
const GENERATION: usize = 64;
const SLEEPERS: usize = 128;
const POISON: usize = 192;

/** Nanoseconds after which a sleeper looks up: threads that have ended cannot wake anybody. */
const SLEEP: i64 = 500_000_000;

/**
 * Waits until `count` threads have called it: spins `spins` times, then sleeps. 256 zeroed bytes at `address`.
 * Returns 0 when all have come; 1 when a thread has failed and the others must stop (word at `address + 192` not 0); 2 or 3
 * when some have not come for half a second: go on with `barrier_wait`. Without shared memory there is one thread, and
 * nothing to wait for.
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
  return barrier_wait(address, generation & 1);
}

/**
 * Goes on waiting at a barrier, for half a second at most; returns what `barrier` does.
 * @param odd the lowest bit of what `barrier` returned: that of the generation, which cannot advance twice meanwhile
 */
export function barrier_wait(address: usize, odd: i32): i32 {
  if (!ASC_FEATURE_THREADS) return 0;
  atomic.add<i32>(address + SLEEPERS, 1);
  const generation = atomic.load<i32>(address + GENERATION);
  if ((generation & 1) == odd && atomic.load<i32>(address + POISON) == 0)
    atomic.wait<i32>(address + GENERATION, generation, SLEEP);
  atomic.sub<i32>(address + SLEEPERS, 1);
  if (atomic.load<i32>(address + POISON) != 0) return 1;
  return (atomic.load<i32>(address + GENERATION) & 1) == odd ? 2 + odd : 0;
}
