import type { GenerateOptions, Model, Piece } from "deltallm";
import * as assert from "uvu/assert";
import type { PassTimes } from "#src/generate/speculation.js";

const subjects = ["a dog", "a cat", "Tom", "Lily", "the old man", "a little bird", "the red car"];
const verbs = ["ran to the park", "found a big box", "said hello", "was very sad", "liked to play"];

/** The n-th prompt: a beginning, a text that repeats itself, or ids that mean nothing. */
export function promptOf(n: number): string | number[] {
  const subject = subjects[n % subjects.length];
  const verb = verbs[n % verbs.length];
  if (n % 3 === 0) return `Once upon a time, ${subject} ${verb}. Then ${subject} ${verb}`;
  if (n % 3 === 1) return `${subject} ${verb}. `.repeat(4).trim();
  return Array.from({ length: 12 }, (_, i) => 300 + (((i % 5) * 37 + n * 11) % 500));
}

/** All pieces, tokens and numbers included; how much of the prompt was known from before depends on what came before. */
export async function pieces(stream: AsyncIterable<Piece>): Promise<Piece[]> {
  const all: Piece[] = [];
  for await (const piece of stream)
    all.push(piece.usage ? { ...piece, usage: { ...piece.usage, cachedTokens: 0 } } : piece);
  return all;
}

/** Generates with and without speculation, and demands the same pieces. */
export async function same(model: Model, prompt: string | number[], options: GenerateOptions): Promise<void> {
  const without = await pieces(model.generate(prompt, { ...options, speculation: false }));
  const speculated = await pieces(model.generate(prompt, { ...options, speculation: true }));
  assert.equal(speculated, without, JSON.stringify([prompt, options]));
}

/** Makes a model in this thread believe that proposals cost nothing, so that it always makes them. */
export function speculateAlways(model: Model): void {
  const times = (model as unknown as { speculation: PassTimes }).speculation;
  times.add(1, 1000);
  times.add(8, 1000);
  times.add = () => undefined;
}

/** Ways to choose tokens that prompts are tried with. */
export const ways: GenerateOptions[] = [
  { temperature: 0 },
  { temperature: 0.7, topLogprobs: 2 },
  { temperature: 1, topK: 0, repetitionPenalty: 1.2, presencePenalty: 0.3, dryMultiplier: 0.5 },
];
