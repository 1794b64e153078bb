/** PCG-XSH-RR 64/32 (O'Neill 2014, pcg-random.org; Apache 2.0). State: two u64, the counter and an odd increment. */
// @ts-ignore: decorator
@inline
function next(state: usize): u32 {
  const old = load<u64>(state);
  store<u64>(state, old * 6364136223846793005 + load<u64>(state, 8));
  return rotr<u32>(<u32>(((old >> 18) ^ old) >> 27), <u32>(old >> 59));
}

/** Starts the random sequence at `state` (16 bytes) from a 64-bit seed given in two halves. */
export function random_seed(state: usize, low: u32, high: u32): void {
  store<u64>(state, 0);
  store<u64>(state, 1442695040888963407, 8);
  next(state);
  store<u64>(state, load<u64>(state) + ((<u64>high << 32) | <u64>low));
  next(state);
}

/** The next number of the sequence, uniform on the multiples of 2⁻⁵³ in [0, 1): 27 bits of one output, 26 of the next. */
export function random_f64(state: usize): f64 {
  const a = <u64>(next(state) >> 5);
  const b = <u64>(next(state) >> 6);
  return <f64>((a << 26) | b) * 1.1102230246251565e-16;
}
