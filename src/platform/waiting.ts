import { yieldToEventLoop } from "./yield.js";

/** Waits. @throws the signal's reason */
export function pause(ms: number, signal?: AbortSignal | undefined): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  return unlessAborted(over, signal).finally(() => clearTimeout(timer));
}

/** What the promise resolves to, unless the signal is aborted first: then nobody hears what becomes of it. */
export async function unlessAborted<Value>(value: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (!signal) return value;
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
  });
  try {
    return await Promise.race([aborted, value]);
  } finally {
    signal.removeEventListener("abort", stop);
    value.catch(() => {});
  }
}

/** Long work of this thread: it can be given up wherever it yields. */
export type Steps<Result> = Generator<undefined, Result>;

/** Does the work in one go. */
export function atOnce<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** Does the work and lets others run between its steps. @throws the signal's reason */
export async function stepwise<Result>(steps: Steps<Result>, signal: AbortSignal | undefined): Promise<Result> {
  try {
    for (;;) {
      signal?.throwIfAborted();
      const { done, value } = steps.next();
      if (done) return value;
      await yieldToEventLoop();
    }
  } finally {
    steps.return(undefined as never);
  }
}
