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

export function mask(x: ArrayLike<number>, allowed: (id: number) => boolean): Float32Array {
  return Float32Array.from(x, (value, id) => (allowed(id) ? value : Number.NEGATIVE_INFINITY));
}

export function presenceFrequency(
  x: ArrayLike<number>,
  ids: readonly number[],
  presence: number,
  frequency: number,
): Float32Array {
  const out = Float32Array.from(x);
  for (const id of new Set(ids)) {
    const count = ids.filter((other) => other === id).length;
    out[id] = f(out[id]! - f(f(presence) + f(f(frequency) * count)));
  }
  return out;
}

export interface DryOptions {
  allowed: number;
  multiplier: number;
  base: number;
}

/** Every earlier place is compared with the end, token by token. */
export function dry(
  x: ArrayLike<number>,
  history: readonly number[],
  breaks: (id: number) => boolean,
  { allowed, multiplier, base }: DryOptions,
): Float32Array {
  const out = Float32Array.from(x);
  const longest = new Map<number, number>();
  for (let next = 1; next < history.length; next++) {
    let length = 0;
    while (length < next) {
      const id = history[history.length - 1 - length]!;
      if (id !== history[next - 1 - length] || breaks(id) || id >= x.length) break;
      length++;
    }
    const id = history[next]!;
    if (length >= allowed && id < x.length && !breaks(id)) longest.set(id, Math.max(length, longest.get(id) ?? 0));
  }
  for (const [id, length] of longest) {
    let penalty = f(multiplier);
    for (let k = allowed; k < length && penalty < F32_MAX; k++) penalty = f(penalty * f(base));
    out[id] = f(out[id]! - Math.min(penalty, F32_MAX));
  }
  return out;
}

/** Candidates by their distance from the entropy, until they reach `typicalP`; then in their own order again. */
export function typical<Candidate extends { value: number }>(
  candidates: readonly Candidate[],
  temperature: number,
  typicalP: number,
): Candidate[] {
  const scaled = candidates.map(({ value }) => f(f(value - candidates[0]!.value) / f(temperature)));
  const weights = candidates.map(({ value }) => weight(value - candidates[0]!.value, temperature));
  let total = 0;
  let mean = 0;
  weights.forEach((w, i) => {
    if (w === 0) return;
    total += w;
    mean += w * scaled[i]!;
  });
  mean /= total;
  /** From where the entropy lies, the likelier side first. */
  const outward = (a: number, b: number) => {
    const [left, right] = [mean - scaled[a]! < 0, mean - scaled[b]! < 0];
    return left === right ? (left ? b - a : a - b) : left ? -1 : 1;
  };
  const order = weights
    .map((_, i) => i)
    .filter((i) => weights[i]! > 0)
    .sort((a, b) => Math.abs(mean - scaled[a]!) - Math.abs(mean - scaled[b]!) || outward(a, b));
  const kept = new Set<number>();
  let sum = 0;
  for (const i of order) {
    if (sum >= typicalP * total) break;
    sum += weights[i]!;
    kept.add(i);
  }
  return candidates.filter((_, i) => kept.has(i));
}

export interface DrawOptions {
  temperature: number;
  topK: number;
  topP: number;
  minP: number;
  typicalP?: number;
}

/** The whole choice over the full sorted list. */
export function choose(
  x: ArrayLike<number>,
  { temperature, topK, topP, minP, typicalP = 1 }: DrawOptions,
  u: () => number,
): number {
  if (f(temperature) === 0) return argmax(x);
  const uniform = u();
  const all = topN(x, x.length);
  const best = topK > 0 ? all.slice(0, topK) : all;
  if (!best.length) return -1;
  const candidates = typicalP < 1 ? typical(best, temperature, typicalP) : best;
  const weights = candidates.map(({ value }) => weight(value - candidates[0]!.value, temperature));
  // The kernel sums in id order when it has not sorted everything.
  const limited = (topK > 0 && topK < x.length) || typicalP < 1;
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
