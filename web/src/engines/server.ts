import type { AnswerEvent, Asked, Engine, Turn } from "./engine.js";

export interface ServerModel {
  id: string;
  loaded: boolean;
}

/** The models of the server this page came from; undefined when it came from none. */
export async function serverModels(): Promise<ServerModel[] | undefined> {
  try {
    const response = await fetch("/v1/models", { headers: authorization() });
    if (response.status === 401) throw new NeedsKey();
    if (!response.ok) return undefined;
    const { data } = (await response.json()) as { data?: { id: string; loaded?: boolean }[] };
    return Array.isArray(data) ? data.map(({ id, loaded }) => ({ id, loaded: loaded ?? true })) : undefined;
  } catch (error) {
    if (error instanceof NeedsKey) throw error;
    return undefined;
  }
}

/** The server wants an API key. */
export class NeedsKey extends Error {}

const KEY = "deltallm.api-key";

export function setApiKey(key: string): void {
  sessionStorage.setItem(KEY, key);
}

function authorization(): Record<string, string> {
  const key = sessionStorage.getItem(KEY);
  return key ? { Authorization: `Bearer ${key}` } : {};
}

interface Chunk {
  choices?: { delta?: { content?: string | null }; finish_reason?: string | null }[];
  usage?: {
    prompt_tokens: number;
    completion_tokens: number;
    prompt_tokens_details?: { cached_tokens?: number };
  } | null;
  timings?: { predicted_per_second?: number };
  system_fingerprint?: string;
  error?: { message: string };
}

/** Answers by the OpenAI API of the server this page came from. */
export class ServerEngine implements Engine {
  readonly kind = "server";
  readonly model: string;
  contextLength: number | undefined;
  #facts: [string, string][] = [["Where", "on the server"]];

  constructor(model: string) {
    this.model = model;
    void this.#ask();
  }

  async *answer(turns: readonly Turn[], settings: Asked, signal: AbortSignal): AsyncGenerator<AnswerEvent> {
    const response = await fetch("/v1/chat/completions", {
      method: "POST",
      signal,
      headers: {
        "Content-Type": "application/json",
        "X-Affinity": settings.conversation,
        ...authorization(),
      },
      body: JSON.stringify({
        model: this.model,
        messages: turns,
        stream: true,
        stream_options: { include_usage: true },
        temperature: settings.temperature,
        top_p: settings.topP,
        top_k: settings.topK,
        min_p: settings.minP,
        repeat_penalty: settings.repeatPenalty,
        max_tokens: settings.maxTokens,
        seed: settings.seed,
        ...(settings.json ? { response_format: { type: "json_object" } } : {}),
      }),
    });
    if (!response.ok || !response.body) throw new Error(await messageOf(response));
    let reason = "stop";
    let last: Chunk = {};
    for await (const chunk of chunks(response.body)) {
      if (chunk.error) throw new Error(chunk.error.message);
      const choice = chunk.choices?.[0];
      if (choice?.delta?.content) yield { kind: "text", text: choice.delta.content };
      reason = choice?.finish_reason ?? reason;
      last = { ...last, ...chunk };
    }
    yield {
      kind: "end",
      reason,
      promptTokens: last.usage?.prompt_tokens ?? 0,
      cachedTokens: last.usage?.prompt_tokens_details?.cached_tokens ?? 0,
      tokens: last.usage?.completion_tokens ?? 0,
      tokensPerSecond: last.timings?.predicted_per_second ?? 0,
      fingerprint: last.system_fingerprint,
    };
  }

  facts(): [string, string][] {
    return this.#facts;
  }

  async dispose(): Promise<void> {}

  async #ask(): Promise<void> {
    try {
      const response = await fetch(`/props?model=${encodeURIComponent(this.model)}`, { headers: authorization() });
      if (!response.ok) return;
      const props = await response.json();
      this.contextLength = props.default_generation_settings?.n_ctx;
      this.#facts = [
        ["Where", "on the server"],
        ["Threads", String(props.threads ?? "")],
        ["Context", `${props.default_generation_settings?.n_ctx ?? "?"} tokens`],
      ];
    } catch {
      // The facts are a courtesy; the conversation works without them.
    }
  }
}

async function messageOf(response: Response): Promise<string> {
  try {
    return (await response.json()).error.message;
  } catch {
    return `The server answered ${response.status}`;
  }
}

async function* chunks(body: ReadableStream<Uint8Array>): AsyncGenerator<Chunk> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks)
        for (const line of block.split("\n"))
          if (line.startsWith("data: ") && line !== "data: [DONE]") yield JSON.parse(line.slice(6)) as Chunk;
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}
