import { OptionError } from "../errors.js";
import { type Kernels, Repetition } from "../kernels/generated.js";
import type { Memory } from "../memory/memory.js";
import type { ResolvedSampling } from "./sampling-options.js";

/** What sampling needs of the linear memory. */
export type SamplingMemory = Pick<Memory, "alloc" | "free" | "u8" | "i32" | "f32">;

/** Changes logits before a token is drawn: biases and penalties, in the order `SamplingOptions` states. */
export interface Adjustments {
  /** Whether there is anything to change. */
  readonly any: boolean;
  /** Changes the logits (f32 `[vocab]`) in place. */
  apply(logits: number, history: ArrayLike<number>): void;
  dispose(): void;
}

/** @param breakers tokens no repetition goes on over, for DRY: a bitset over the vocabulary */
export function createAdjustments(
  kernels: Kernels,
  memory: SamplingMemory,
  vocab: number,
  options: ResolvedSampling,
  breakers: Uint32Array | undefined,
): Adjustments {
  const { repetitionPenalty, presencePenalty, frequencyPenalty, repetitionWindow } = options;
  const { dryMultiplier, dryBase, dryAllowedLength, dryWindow } = options;
  const biases = [...options.logitBias];
  const stranger = biases.find(([id]) => id >= vocab);
  if (stranger)
    throw new OptionError(
      `${stranger[0]} is not a token id of this model`,
      { key: "logitBias" },
      `Ids go from 0 to ${vocab - 1}`,
    );
  const repeats = repetitionWindow > 0 && repetitionPenalty !== 1;
  const counts = repetitionWindow > 0 && (presencePenalty !== 0 || frequencyPenalty !== 0);
  const dry = dryMultiplier > 0;
  const any = biases.length > 0 || repeats || counts || dry;

  // Ids and what belongs to them, for biases and penalties alike.
  const entries = Math.max(biases.length, repeats || counts ? Math.min(repetitionWindow, vocab) : 0);
  const idsAt = any ? memory.alloc(Math.max(1, entries) * 8, "penalties") : 0;
  const valuesAt = idsAt + entries * 4;
  const breakersAt = dry && breakers ? memory.alloc(breakers.byteLength, "sequence breakers") : 0;
  if (breakersAt && breakers) memory.i32(breakersAt, breakers.length).set(breakers);
  const repetitionAt = dry ? memory.alloc(Repetition.bytes, "DRY") : 0;
  // History, then the scratch of the kernel; grows with the history.
  let dryAt = 0;
  let dryRoom = 0;

  function penaliseRepetition(logits: number, history: ArrayLike<number>): void {
    const seen = new Map<number, number>();
    for (let i = Math.max(0, history.length - repetitionWindow); i < history.length; i++) {
      const id = history[i] as number;
      if (id >= 0 && id < vocab) seen.set(id, (seen.get(id) ?? 0) + 1);
    }
    memory.i32(idsAt, seen.size).set([...seen.keys()]);
    if (repeats) kernels.repetition_penalty_f32(logits, idsAt, seen.size, repetitionPenalty);
    if (!counts) return;
    memory.i32(valuesAt, seen.size).set([...seen.values()]);
    kernels.presence_frequency_f32(logits, idsAt, valuesAt, seen.size, presencePenalty, frequencyPenalty);
  }

  function penaliseDry(logits: number, history: ArrayLike<number>): void {
    const count = dryWindow > 0 ? Math.min(dryWindow, history.length) : history.length;
    if (count > dryRoom) {
      const room = Math.max(256, count * 2);
      const at = memory.alloc((room * 2 + vocab) * 4, "DRY");
      memory.i32(at + room * 4, room + vocab).fill(0);
      if (dryAt) memory.free(dryAt);
      dryAt = at;
      dryRoom = room;
    }
    const tokens = memory.i32(dryAt, count);
    for (let i = 0; i < count; i++) tokens[i] = history[history.length - count + i] as number;
    // The part for the vocabulary must stay where it is zero: the scratch ends where the block does.
    const scratch = dryAt + (dryRoom * 2 - count) * 4;
    Repetition.write(new DataView(tokens.buffer), repetitionAt, {
      history: dryAt,
      count,
      breakers: breakersAt,
      scratch,
      allowed: dryAllowedLength,
      multiplier: dryMultiplier,
      base: dryBase,
    });
    kernels.dry_f32(logits, vocab, repetitionAt);
  }

  return {
    any,
    apply(logits, history) {
      if (biases.length > 0) {
        memory.i32(idsAt, biases.length).set(biases.map(([id]) => id));
        memory.f32(valuesAt, biases.length).set(biases.map(([, bias]) => bias));
        kernels.add_at_f32(logits, idsAt, valuesAt, biases.length);
      }
      if (repeats || counts) penaliseRepetition(logits, history);
      if (dry) penaliseDry(logits, history);
    },
    dispose() {
      for (const block of [idsAt, breakersAt, repetitionAt, dryAt]) if (block) memory.free(block);
    },
  };
}
