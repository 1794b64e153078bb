import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { KernelError, OptionError } from "#src/errors.js";
import { createSampler, readTokenLogprobs, type Sampler } from "#src/generate/sampler.js";
import { resolveSampling } from "#src/generate/sampling-options.js";
import type { Kernels } from "#src/kernels/generated.js";
import { instantiateKernels, kernelModule } from "#src/kernels/instantiate.js";
import { Memory } from "#src/memory/memory.js";
import type { SamplingOptions } from "#src/types/sampling-options.js";
import { runnableBuilds } from "../helpers/kernels.js";
import * as twin from "../twins/sampling.js";

/** A sampler over logits put into a memory of its own. */
class Desk {
  readonly memory = new Memory({ shared: false });
  readonly kernels: Kernels;
  constructor(build = runnableBuilds[0]!) {
    this.kernels = instantiateKernels(kernelModule(build), this.memory.wasm);
  }
  put(x: ArrayLike<number>): number {
    const at = this.memory.alloc(x.length * 4, "logits");
    this.memory.f32(at, x.length).set(x);
    return at;
  }
  sampler(vocab: number, options: SamplingOptions): Sampler {
    return createSampler(this.kernels, this.memory, vocab, resolveSampling(options));
  }
}

const wide = (count: number, seed: number) => {
  const random = new twin.Random(seed);
  return Float32Array.from({ length: count }, () => random.uniform() * 12 - 6);
};

for (const build of runnableBuilds) {
  test(`createSampler (${build}) chooses what the twin chooses from the whole sorted list`, () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1000, max: 2000 })),
        fc.nat(),
        fc.record({
          temperature: fc.constantFrom(0, 0.1, 0.8, 1, 3),
          topK: fc.constantFrom(0, 1, 5, 40),
          topP: fc.constantFrom(1, 0.95, 0.5, 0.01),
          minP: fc.constantFrom(0, 0.05, 0.5, 1),
          repetitionPenalty: fc.constantFrom(1, 1.3, 0.7),
          repetitionWindow: fc.constantFrom(0, 3, 64),
          seed: fc.nat(),
        }),
        (vocab, dataSeed, options) => {
          const desk = new Desk(build);
          const x = wide(vocab, dataSeed);
          const at = desk.put(x);
          const sampler = desk.sampler(vocab, options);
          const random = new twin.Random(options.seed);
          const history: number[] = [];
          for (let i = 0; i < 6; i++) {
            const recent = options.repetitionWindow ? history.slice(-options.repetitionWindow) : [];
            const expected = twin.choose(twin.penalise(x, recent, options.repetitionPenalty), options, () =>
              random.uniform(),
            );
            const { id, logprob } = sampler.sample(at, history);
            assert.is(id, expected);
            assert.ok(Math.abs(logprob - twin.logprob(x, id)) < 1e-5);
            history.push(id);
          }
          assert.equal(desk.memory.f32(at, vocab), x, "the logits are left as they are");
        },
      ),
      { numRuns: 150 },
    );
  });
}

test("all steps together are the twin's, in the stated order", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 300 }),
      fc.nat(),
      fc.record({
        temperature: fc.constantFrom(0, 0.8, 2),
        topK: fc.constantFrom(0, 5, 40),
        topP: fc.constantFrom(1, 0.9, 0.3),
        minP: fc.constantFrom(0, 0.1),
        typicalP: fc.constantFrom(1, 0.9, 0.3),
        repetitionPenalty: fc.constantFrom(1, 1.3),
        presencePenalty: fc.constantFrom(0, 0.7, -0.5),
        frequencyPenalty: fc.constantFrom(0, 0.4),
        repetitionWindow: fc.constantFrom(0, 3, 64),
        dryMultiplier: fc.constantFrom(0, 0.8),
        dryAllowedLength: fc.constantFrom(1, 2),
        dryWindow: fc.constantFrom(0, 5),
        logitBias: fc.constantFrom<Record<number, number>>({}, { 0: 5 }, { 0: Number.NEGATIVE_INFINITY }),
        seed: fc.nat(),
      }),
      fc.boolean(),
      (vocab, dataSeed, options, masks) => {
        const desk = new Desk();
        const x = wide(vocab, dataSeed);
        const at = desk.put(x);
        const sampler = desk.sampler(vocab, options);
        const random = new twin.Random(options.seed);
        const words = Uint32Array.from({ length: Math.ceil(vocab / 32) }, () => 0x5bd1e995 ^ (dataSeed >>> 3));
        words[0]! |= 3; // Something can be chosen even where 0 is banned.
        const allowed = (id: number) => !masks || ((words[id >>> 5]! >>> (id & 31)) & 1) === 1;
        const history: number[] = [];
        for (let i = 0; i < 8; i++) {
          const base = twin.mask(x, allowed);
          const newest = options.repetitionWindow ? history.slice(-options.repetitionWindow) : [];
          let adjusted = Float32Array.from(base);
          for (const [id, bias] of Object.entries(options.logitBias)) adjusted[Number(id)]! += bias;
          adjusted = twin.penalise(adjusted, newest, options.repetitionPenalty) as Float32Array<ArrayBuffer>;
          adjusted = twin.presenceFrequency(
            adjusted,
            newest,
            options.presencePenalty,
            options.frequencyPenalty,
          ) as Float32Array<ArrayBuffer>;
          if (options.dryMultiplier > 0) {
            const dryHistory = options.dryWindow ? history.slice(-options.dryWindow) : history;
            const dry = { allowed: options.dryAllowedLength, multiplier: options.dryMultiplier, base: 1.75 };
            adjusted = twin.dry(adjusted, dryHistory, () => false, dry) as Float32Array<ArrayBuffer>;
          }
          const expected = twin.choose(adjusted, options, () => random.uniform());
          if (expected < 0) {
            assert.throws(() => sampler.sample(at, history, { mask: masks ? words : undefined }), /No token/);
            return;
          }
          const { id, logprob, top } = sampler.sample(at, history, { mask: masks ? words : undefined, top: 3 });
          assert.is(id, expected);
          assert.ok(Math.abs(logprob - twin.logprob(base, id)) < 1e-5);
          assert.equal(
            top!.map(({ id }) => id),
            twin.topN(base, 3).map(({ id }) => id),
          );
          history.push(id);
        }
        assert.equal(desk.memory.f32(at, vocab), x, "the logits are left as they are");
      },
    ),
    { numRuns: 300 },
  );
});

test("a mask shorter than the logits forbids what is beyond it", () => {
  const desk = new Desk();
  const at = desk.put(Float32Array.from({ length: 100 }, (_, i) => i));
  const sampler = desk.sampler(100, { temperature: 0 });
  assert.is(sampler.sample(at, [], { mask: Uint32Array.of(0xffffffff, 0x10) }).id, 36);
  assert.is(sampler.sample(at, [], { mask: new Uint32Array(4).fill(0xffffffff) }).id, 99);
  const { logprob } = sampler.sample(at, [], { mask: Uint32Array.of(1) });
  assert.is(logprob, 0, "the only token allowed is certain");
  assert.throws(() => sampler.sample(at, [], { mask: new Uint32Array(4) }), /No token can be chosen/);
});

test("all builds give the same ids and probabilities from the same seed", () => {
  const x = wide(5000, 7);
  const runs = runnableBuilds.map((build) => {
    const desk = new Desk(build);
    const at = desk.put(x);
    const sampler = desk.sampler(x.length, { seed: 11, temperature: 1.2, topK: 0, minP: 0.01 });
    return Array.from({ length: 100 }, () => sampler.sample(at, []));
  });
  for (const run of runs) assert.equal(run, runs[0]);
  assert.equal(
    runs[0]!.slice(0, 5).map(({ id }) => id),
    [1997, 836, 4481, 622, 3297],
  );
});

test("frequencies follow the softmax", () => {
  const desk = new Desk();
  const x = Float32Array.from([2, 1, 0, -1, -2, Number.NEGATIVE_INFINITY, Number.NaN]);
  const at = desk.put(x);
  const sampler = desk.sampler(x.length, { seed: 3, temperature: 1, topK: 0, topP: 1, minP: 0 });
  const draws = 20_000;
  const counts = new Array(x.length).fill(0);
  for (let i = 0; i < draws; i++) counts[sampler.sample(at, []).id]++;
  for (let id = 0; id < 5; id++) {
    const p = Math.exp(twin.logprob(x, id));
    const sigma = Math.sqrt(p * (1 - p) * draws);
    assert.ok(Math.abs(counts[id] - p * draws) < 4 * sigma, `token ${id}: ${counts[id]} of ${draws}, p = ${p}`);
  }
  assert.equal(counts.slice(5), [0, 0], "−∞ and NaN are never chosen");
});

test("temperature 0 takes the lowest of equal ids and uses no randomness", () => {
  const desk = new Desk();
  const at = desk.put([Number.NaN, 1, 3, 3, 3, 2]);
  const sampler = desk.sampler(6, { temperature: 0 });
  const before = sampler.state;
  assert.is(sampler.sample(at, []).id, 2);
  assert.equal(sampler.state, before);
});

test("the penalty looks only at the window and at ids of the vocabulary", () => {
  const desk = new Desk();
  const at = desk.put([5, 4, 3]);
  const sampler = desk.sampler(3, { temperature: 0, repetitionPenalty: 2, repetitionWindow: 2 });
  assert.is(sampler.sample(at, []).id, 0);
  assert.is(sampler.sample(at, [0]).id, 1);
  assert.is(sampler.sample(at, [0, 1, 99, -1]).id, 0);
  assert.is(sampler.sample(at, Int32Array.of(0, 1)).id, 2);
});

test("state and restore repeat the sequence, also in another sampler", () => {
  const desk = new Desk();
  const at = desk.put(wide(300, 1));
  const options = { seed: 5, temperature: 2, topK: 0, topP: 1, minP: 0 };
  const sampler = desk.sampler(300, options);
  sampler.sample(at, []);
  const state = sampler.state;
  const first = Array.from({ length: 20 }, () => sampler.sample(at, []).id);
  const other = desk.sampler(300, { ...options, seed: 999 });
  other.restore(state);
  assert.equal(
    Array.from({ length: 20 }, () => other.sample(at, []).id),
    first,
  );
  assert.throws(
    () => other.restore(new Uint8Array(3)),
    (error: unknown) => error instanceof OptionError,
  );
});

test("logits without a number are an error, not a token", () => {
  const desk = new Desk();
  const at = desk.put(new Float32Array(10).fill(Number.NaN));
  for (const temperature of [0, 1])
    assert.throws(
      () => desk.sampler(10, { temperature }).sample(at, []),
      (error: unknown) => error instanceof KernelError && error.message.includes("No token can be chosen"),
    );
});

test("options out of range are refused by name", () => {
  const desk = new Desk();
  const wrong: [keyof SamplingOptions, unknown][] = [
    ["temperature", -1],
    ["temperature", Number.NaN],
    ["temperature", Number.POSITIVE_INFINITY],
    ["topK", 1.5],
    ["topK", -1],
    ["topP", 0],
    ["topP", 1.1],
    ["minP", -0.1],
    ["repetitionPenalty", 0],
    ["repetitionWindow", 0.5],
    ["seed", -1],
    ["seed", "7"],
    ["typicalP", 0],
    ["presencePenalty", 101],
    ["frequencyPenalty", Number.NaN],
    ["dryMultiplier", -1],
    ["dryBase", 0.5],
    ["dryAllowedLength", 0],
    ["dryWindow", -1],
    ["drySequenceBreakers", [""]],
    ["logitBias", [1]],
    ["logitBias", { 10: 1 }],
  ];
  for (const [name, value] of wrong)
    assert.throws(
      () => desk.sampler(10, { [name]: value }),
      (error: unknown) => error instanceof OptionError && error.place.key === name && error.message.includes(name),
      `${name} = ${String(value)}`,
    );
});

test("readTokenLogprobs scores one target per row and gives its memory back", () => {
  const desk = new Desk();
  const rows = [Float32Array.of(1, 2, 3, 0, 0), Float32Array.of(4, 0, 0, 0, 0)];
  const at = desk.put([...rows[0]!, ...rows[1]!]);
  const before = desk.memory.usedBytes;
  const score = (targets: number[]) => readTokenLogprobs(desk.kernels, desk.memory, at, 5, targets);
  const { logprobs, greedy } = score([2, 1]);
  assert.is(greedy, false);
  [2, 1].forEach((id, row) => {
    assert.ok(Math.abs(logprobs[row]! - twin.logprob(rows[row]!, id)) < 1e-6);
  });
  assert.is(score([2, 0]).greedy, true);
  assert.equal(score([]), { logprobs: new Float32Array(0), greedy: true });
  assert.is(desk.memory.usedBytes, before);
});

test("dispose gives all memory back, twice is fine", () => {
  const desk = new Desk();
  const before = desk.memory.usedBytes;
  const sampler = desk.sampler(1000, { repetitionPenalty: 1.1, topK: 0 });
  assert.ok(desk.memory.usedBytes > before);
  sampler.dispose();
  sampler.dispose();
  assert.is(desk.memory.usedBytes, before);
  assert.throws(() => sampler.sample(0, []), /disposed/);
});

test.run();
