import * as errors from "../errors.js";

/** An error as plain data. */
export interface ErrorData {
  name: string;
  message: string;
  stack?: string | undefined;
  place?: errors.ErrorPlace | undefined;
  hint?: string | undefined;
  cause?: ErrorData | undefined;
}

/** Causes of causes that travel along; what lies deeper helps nobody. */
const DEEPEST_CAUSE = 3;

/** An error, or whatever else was thrown, as data that can be sent to another thread. */
export function errorToData(error: unknown, depth = 0): ErrorData {
  if (!(error instanceof Error || error instanceof DOMException)) return { name: "Error", message: String(error) };
  const { name, message, stack, cause } = error as Error;
  const more = cause === undefined || depth === DEEPEST_CAUSE ? {} : { cause: errorToData(cause, depth + 1) };
  if (!(error instanceof errors.DeltaLLMError)) return { name, message, stack, ...more };
  return { name, message, stack, place: error.place, hint: error.hint, ...more };
}

/** The error again, of the class it had. */
export function errorFromData(data: ErrorData): Error {
  const error = make(data);
  if (data.cause) error.cause = errorFromData(data.cause);
  if (data.stack) Object.defineProperty(error, "stack", { value: data.stack, configurable: true, writable: true });
  return error;
}

function make({ name, message, place, hint }: ErrorData): Error {
  const own = (errors as unknown as Record<string, typeof errors.DeltaLLMError | undefined>)[name];
  if (own) {
    const error = new own("", place, hint);
    // The constructor would put place and hint into the message a second time.
    error.message = message;
    return error;
  }
  if (name === "AbortError" || name === "TimeoutError") return new DOMException(message, name);
  const standard = { TypeError, RangeError, SyntaxError, ReferenceError }[name] ?? Error;
  const error = new standard(message);
  if (error.name !== name) Object.defineProperty(error, "name", { value: name, configurable: true });
  return error;
}
