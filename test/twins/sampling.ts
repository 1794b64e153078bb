// The sampling kernels again, in plain scalar TypeScript.

const f = Math.fround;
const F32_MAX = 3.4028234663852886e38;

/** e^x in f32, as `expF32`. */
export function exp(value: number): number {
  const x = f(Math.min(Math.max(value, -87), 88));
  const product = f(x * f(Math.LOG2E));
  let n = Math.round(product);
  if (Math.abs(product - Math.trunc(product)) === 0.5) n = 2 * Math.round(product / 2);
  let r = f(x - f(n * f(0.693359375)));
  r = f(r - f(n * f(-2.1219444e-4)));
  let p = f(1.98756915e-4);
  for (const c of [1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1])
    p = f(f(p * r) + f(c));
  p = f(f(f(f(p * r) * r) + r) + 1);
  return f(p * 2 ** n);
}

export const clean = (v: number) => (Number.isNaN(v) ? Number.NEGATIVE_INFINITY : Math.min(v, F32_MAX));

export function argmax(x: ArrayLike<number>): number {
  let best = -1;
  for (let i = 0; i < x.length; i++) {
    const value = clean(x[i]!);
    if (value > Number.NEGATIVE_INFINITY && (best < 0 || value > clean(x[best]!))) best = i;
  }
  return best;
}

export function topN(x: ArrayLike<number>, n: number): { id: number; value: number }[] {
  return Array.from(x, (value, id) => ({ id, value: clean(value) }))
    .filter(({ value }) => value > Number.NEGATIVE_INFINITY)
    .sort((a, b) => b.value - a.value || a.id - b.id)
    .slice(0, n);
}

export function weight(difference: number, temperature: number): number {
  const scaled = f(f(difference) / f(temperature));
  return scaled >= -87 ? exp(scaled) : 0;
}

export function sumExp(x: ArrayLike<number>, largest: number, temperature: number): number {
  const lanes = [0, 0, 0, 0];
  const whole = x.length & ~3;
  const term = (i: number) => weight(clean(x[i]!) - clean(largest), temperature);
  for (let i = 0; i < whole; i++) lanes[i & 3]! += term(i);
  let sum = lanes[0]! + lanes[2]! + (lanes[1]! + lanes[3]!);
  for (let i = whole; i < x.length; i++) sum += term(i);
  return sum;
}

/** Only as exact as the engine's `Math.log`: compare with a tolerance. */
export function logprob(x: ArrayLike<number>, id: number): number {
  const at = argmax(x);
  if (at < 0) return Number.NaN;
  const largest = clean(x[at]!);
  return f(Math.min(x[id]!, F32_MAX) - (largest + Math.log(sumExp(x, largest, 1))));
}

export function penalise(x: ArrayLike<number>, ids: Iterable<number>, penalty: number): Float32Array {
  const out = Float32Array.from(x);
  for (const id of new Set(ids)) out[id] = out[id]! > 0 ? f(out[id]! / f(penalty)) : f(out[id]! * f(penalty));
  return out;
}

/** PCG-XSH-RR 64/32. */
export class Random {
  state = 0n;
  constructor(seed: number) {
    this.next();
    this.state = BigInt.asUintN(64, this.state + BigInt(seed));
    this.next();
  }
  next(): bigint {
    const old = this.state;
    this.state = BigInt.asUintN(64, old * 6364136223846793005n + 1442695040888963407n);
    const mixed = BigInt.asUintN(32, ((old >> 18n) ^ old) >> 27n);
    const turn = old >> 59n;
    return BigInt.asUintN(32, (mixed >> turn) | (mixed << (32n - turn)));
  }
  uniform(): number {
    const high = this.next() >> 5n;
    const low = this.next() >> 6n;
    return Number((high << 26n) | low) * 2 ** -53;
  }
}

export interface DrawOptions {
  temperature: number;
  topK: number;
  topP: number;
  minP: number;
}

/** The whole choice over the full sorted list. */
export function choose(x: ArrayLike<number>, { temperature, topK, topP, minP }: DrawOptions, u: () => number): number {
  if (f(temperature) === 0) return argmax(x);
  const uniform = u();
  const all = topN(x, x.length);
  const candidates = topK > 0 ? all.slice(0, topK) : all;
  if (!candidates.length) return -1;
  const weights = candidates.map(({ value }) => weight(value - candidates[0]!.value, temperature));
  // The kernel sums in id order when it has not sorted everything.
  const limited = topK > 0 && topK < x.length;
  const total =
    limited || all.length <= 128 ? weights.reduce((a, b) => a + b, 0) : sumExp(x, candidates[0]!.value, temperature);
  let kept = total;
  let count = weights.length;
  if (topP < 1 || minP > 0) {
    kept = 0;
    for (let i = 0; i < weights.length; i++) {
      if (weights[i]! < f(minP)) {
        count = i;
        break;
      }
      kept += weights[i]!;
      if (topP < 1 && kept >= topP * total) {
        count = i + 1;
        break;
      }
    }
  }
  let sum = 0;
  let last = 0;
  for (let i = 0; i < count; i++) {
    if (weights[i]! > 0) last = i;
    sum += weights[i]!;
    if (sum > uniform * kept) return candidates[i]!.id;
  }
  return candidates[last]!.id;
}
