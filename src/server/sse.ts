import { toApiError } from "./errors.js";

/** One server-sent event: `data` is sent as JSON, a string as it is. */
export interface ServerEvent {
  data: unknown;
  /** Name of the event, for APIs that name them. */
  event?: string | undefined;
  /** Number of tokens sent so far: what a client says in `Last-Event-ID` when it asks again. */
  id?: number | undefined;
}

/**
 * Streams events as they are asked for: a reader that does not read stops the source, so nothing piles up. While the
 * source is silent for `pingInterval` seconds a comment is sent. A failure becomes a last event with the error.
 * @param cancel called when the reader goes away; the source must then end
 */
export function eventStream(
  source: AsyncGenerator<ServerEvent, void, undefined>,
  { pingInterval, cancel }: { pingInterval: number; cancel: () => void },
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let next: Promise<IteratorResult<ServerEvent>> | undefined;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        next ??= source.next();
        try {
          const result = await orSilence(next, pingInterval);
          if (result === "silence") {
            controller.enqueue(encoder.encode(": ping\n\n"));
            return;
          }
          next = undefined;
          if (result.done) controller.close();
          else controller.enqueue(encoder.encode(eventText(result.value)));
        } catch (error) {
          next = undefined;
          controller.enqueue(encoder.encode(eventText({ data: toApiError(error).body })));
          controller.close();
        }
      },
      async cancel() {
        cancel();
        // What is running ends with the signal; its failure is nobody's any more.
        next?.catch(() => undefined);
        await source.return().catch(() => undefined);
      },
    },
    { highWaterMark: 1 },
  );
}

/** What a promise gives, or "silence" when it takes longer than that. */
export async function orSilence<Value>(value: Promise<Value>, seconds: number): Promise<Value | "silence"> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<"silence">((resolve) => {
    timer = setTimeout(() => resolve("silence"), seconds * 1000);
  });
  try {
    return await Promise.race([value, silence]);
  } finally {
    clearTimeout(timer);
  }
}

function eventText({ data, event, id }: ServerEvent): string {
  const lines = [];
  if (event !== undefined) lines.push(`event: ${event}`);
  if (id !== undefined) lines.push(`id: ${id}`);
  // JSON has no line breaks of its own.
  lines.push(`data: ${typeof data === "string" ? data : JSON.stringify(data)}`);
  return `${lines.join("\n")}\n\n`;
}
