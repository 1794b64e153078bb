import { signal } from "@preact/signals";

/** The answer that is being written. */
export const answering = signal<{ conversation: string; message: string; controller: AbortController } | undefined>(
  undefined,
);

/** Ends it where it is; what is there stays. */
export function stop(): void {
  answering.value?.controller.abort();
}
