import { InvalidArgumentError } from "commander";

/** A parser for a finite number. */
export function number(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new InvalidArgumentError("It must be a number.");
  return value;
}

/** A parser for a whole number of at least `least`. */
export function whole(least: number): (text: string) => number {
  return (text) => {
    const value = number(text);
    if (!Number.isSafeInteger(value) || value < least)
      throw new InvalidArgumentError(`It must be a whole number of at least ${least}.`);
    return value;
  };
}
