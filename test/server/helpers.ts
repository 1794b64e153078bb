import { loadModel } from "#src/index.js";
import { createHandler, type HandlerOptions } from "#src/server/index.js";
import type { Model } from "#src/types.js";

let embedded: Promise<Model> | undefined;

/** The embedded model, loaded once per test file. */
export function sharedModel(): Promise<Model> {
  embedded ??= loadModel("embedded");
  return embedded;
}

/** A handler over the embedded model, named `story`. */
export async function storyHandler(options: Partial<HandlerOptions> = {}) {
  return createHandler({ models: { story: { model: await sharedModel() } }, ...options });
}

export function post(path: string, body: unknown, init: RequestInit = {}): Request {
  return new Request(`http://localhost${path}`, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...init,
    headers: { "Content-Type": "application/json", ...(init.headers as Record<string, string>) },
  });
}

/** The events of a stream: the data of each, parsed unless it is `[DONE]`. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
export function events(text: string): { event?: string; id?: string; data: any }[] {
  return text
    .split("\n\n")
    .filter((block) => block !== "" && !block.startsWith(":"))
    .map((block) => {
      const fields = Object.fromEntries(
        block.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]),
      );
      return { ...fields, data: fields.data === "[DONE]" ? fields.data : JSON.parse(fields.data as string) };
    });
}

/** The text of a streamed chat completion. */
export function streamedText(text: string): string {
  return events(text)
    .map(({ data }) => data.choices?.[0]?.delta?.content ?? "")
    .join("");
}
