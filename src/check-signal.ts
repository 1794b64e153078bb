import { OptionError } from "./errors.js";
import { show } from "./formats/show.js";

/** @throws OptionError for anything but an AbortSignal or nothing */
export function checkSignal(signal: unknown): void {
  if (signal === undefined || signal === null) return;
  const { aborted, addEventListener } = signal as Partial<AbortSignal>;
  if (typeof aborted !== "boolean" || typeof addEventListener !== "function")
    throw new OptionError(
      `signal is ${show(signal)}, not an AbortSignal`,
      { key: "signal" },
      "Give the signal of an AbortController",
    );
}
