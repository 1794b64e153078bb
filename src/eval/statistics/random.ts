/**
 * Uniform random numbers in [0, 1), the same for the same seed everywhere. For resampling, not for secrets.
 * The generator is "sfc32" of PractRand (Chris Doty-Humphrey, public domain).
 */
export function createRandom(seed: number): () => number {
  let a = 0x9e3779b9;
  let b = seed | 0;
  let c = Math.floor(seed / 2 ** 32) | 0;
  let counter = 1;
  const next = () => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
  // The first numbers still look like the seed.
  for (let i = 0; i < 15; i++) next();
  return next;
}
