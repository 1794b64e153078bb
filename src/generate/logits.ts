import { KernelError } from "../errors.js";
import type { Engine } from "../model/engine.js";

/** The error of logits none of which is a number above −∞. */
export function noNumbers(): KernelError {
  return new KernelError(
    "No token can be chosen: none of the logits is a number",
    {},
    "The weights are damaged or the model's numbers overflowed; compare with `deltallm verify`",
  );
}

/**
 * Looks at rows of logits (f32 `[rows, vocab]`) that nobody chooses a token from.
 * @throws KernelError when no number of a row is above −∞
 */
export function checkLogits({ memory, config: { vocab } }: Engine, address: number, rows: number): void {
  for (let row = 0; row < rows; row++)
    if (!memory.f32(address + row * vocab * 4, vocab).some(isNumber)) throw noNumbers();
}

const isNumber = (logit: number) => logit > Number.NEGATIVE_INFINITY;
