/** Paths whose streams can be taken up. */
const streamed = /\/(?:chat\/)?completions$/;
/** Answers of a router whose machine is gone, drains or loads. */
const elsewhere = new Set([502, 503]);
const LONGEST_PAUSE = 5000;

/**
 * A `fetch` for any client of the OpenAI API, before several `deltallm serve` behind a router:
 * `new OpenAI({ baseURL, fetch: steadyFetch() })`. It has no dependencies and runs in browsers too.
 *
 * - It sets `X-Affinity`, so that a conversation goes to the machine that has its beginning in its cache.
 * - Requests whose machine died, and those refused with 502 or 503, are sent again.
 * - A stream that was cut goes on where it stopped, on another machine: the same request and seed give the same bytes. A
 *   request without `seed` gets a random one for that. Streams with `n` above 1 are not taken up.
 * @param {{ fetch?: typeof globalThis.fetch, affinity?: string | ((body: object) => string), tries?: number,
 *   pause?: number }} options `fetch`: what sends, default the runtime's; `affinity`: name of the conversation or user,
 * default a hash of the conversation's first messages; `tries`: failures in a row until it gives up, default 8; `pause`: ms
 * after the first one, then doubled, default 250
 * @returns {typeof globalThis.fetch}
 */
export function steadyFetch({ fetch: send = globalThis.fetch, affinity = affinityOf, tries = 8, pause = 250 } = {}) {
  return async (input, init = {}) => {
    const path = new URL(typeof input === "object" && "url" in input ? input.url : input, "http://localhost").pathname;
    const body = readBody(init);
    if (body === undefined) return send(input, init);
    const resumable = streamed.test(path) && body.stream === true && (body.n ?? 1) === 1;
    if (resumable && (body.seed ?? null) === null) body.seed = Math.floor(Math.random() * 2 ** 31);
    const headers = new Headers(init.headers);
    headers.delete("content-length");
    if (!headers.has("x-affinity")) headers.set("x-affinity", typeof affinity === "string" ? affinity : affinity(body));

    let failures = 0;
    const failed = async (error) => {
      if (init.signal?.aborted || ++failures >= tries) throw error;
      await new Promise((done) => setTimeout(done, Math.min(pause * 2 ** (failures - 1), LONGEST_PAUSE)));
      init.signal?.throwIfAborted();
    };
    /** An answer that has begun; of what is left of the answer when tokens are there already. */
    const ask = async (from) => {
      for (;;) {
        try {
          const asked = JSON.stringify(from > 0 ? { ...body, resume_from: from } : body);
          const response = await send(input, { ...init, headers, body: asked });
          if (!elsewhere.has(response.status) || failures + 1 >= tries) return response;
          await response.body?.cancel();
          await failed(new Error(`The router answers ${response.status}`));
        } catch (error) {
          await failed(error);
        }
      }
    };
    const first = await ask(0);
    if (!resumable || !first.ok || !first.body) return first;
    const resume = async (from, error) => {
      await failed(error);
      const response = await ask(from);
      if (!response.ok || !response.body) throw new Error(`The stream cannot go on: ${await response.text()}`);
      return response.body;
    };
    const events = steadyEvents(first.body, resume, () => {
      failures = 0;
    });
    const steady = new ReadableStream(
      {
        async pull(controller) {
          try {
            const { done, value } = await events.next();
            if (done) controller.close();
            else controller.enqueue(value);
          } catch (error) {
            controller.error(error);
          }
        },
        cancel: () => events.return(),
      },
      { highWaterMark: 0 },
    );
    const { status, statusText } = first;
    return new Response(steady, { status, statusText, headers: first.headers });
  };
}

/** The body of a request that asks a model something; undefined for everything else. */
function readBody({ method, body }) {
  if (method?.toUpperCase() !== "POST" || typeof body !== "string") return undefined;
  try {
    const value = JSON.parse(body);
    return value !== null && typeof value === "object" && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A name that stays the same while a conversation grows: a hash of what it begins with. */
export function affinityOf(body) {
  const messages = Array.isArray(body.messages) ? body.messages : Array.isArray(body.input) ? body.input : undefined;
  const question = messages?.findIndex(({ role }) => role === "user");
  const start = messages
    ? messages.slice(0, question + 1 || 1)
    : String(body.prompt ?? body.input ?? "").slice(0, 1024);
  let [a, b] = [0x811c9dc5, 0x01000193];
  for (const char of JSON.stringify(start)) {
    const code = char.codePointAt(0);
    a = Math.imul(a ^ code, 0x01000193);
    b = Math.imul(b ^ code, 0x85ebca6b) + a;
  }
  return [a, b].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}

/** The events of a stream as bytes, each once, over as many connections as it takes. */
async function* steadyEvents(body, resume, onProgress) {
  const encoder = new TextEncoder();
  const known = { tokens: 0, count: 0, begun: false, counted: false, envelope: undefined };
  for (let reader = body.getReader(), again = 0; ; again = known.count) {
    const seen = { again };
    let failure;
    try {
      for await (const event of eventsOf(reader)) {
        const text = newEvent(event, known, seen);
        if (text === undefined) continue;
        onProgress();
        yield encoder.encode(text);
        if (event.data === "[DONE]" || event.chunk?.error) return;
      }
    } catch (error) {
      failure = error;
    } finally {
      reader.cancel().catch(() => undefined);
    }
    // From one token earlier: a token can have several events, of which some may have come.
    const from = Math.max(0, known.tokens - 1);
    reader = (await resume(from, failure ?? new Error("The stream ended too early"))).getReader();
  }
}

/**
 * What of an event is passed on: nothing of what was passed on before. Names and times are those of the first connection.
 * @param seen `again`: how many events of the newest token will come once more on this connection
 */
function newEvent({ text, id, data, chunk }, known, seen) {
  if (!chunk) return data === undefined || data === "[DONE]" ? `${text}\n\n` : undefined;
  if (chunk.error) return `${text}\n\n`;
  if (id !== undefined) {
    if (id < known.tokens || (id === known.tokens && seen.again-- > 0)) return undefined;
    known.count = id === known.tokens ? known.count + 1 : 1;
    known.tokens = id;
  } else {
    // What opens the answer, and the count of tokens at its end.
    const flag = chunk.choices?.length ? "begun" : "counted";
    if (known[flag]) return undefined;
    known[flag] = true;
  }
  const { id: name, created } = chunk;
  known.envelope ??= { id: name, created };
  if (name === known.envelope.id) return `${text}\n\n`;
  return `${id === undefined ? "" : `id: ${id}\n`}data: ${JSON.stringify({ ...chunk, ...known.envelope })}\n\n`;
}

/** Whole events of a stream; a torn one at its end is left out. */
async function* eventsOf(reader) {
  const decoder = new TextDecoder();
  for (let rest = ""; ; ) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + decoder.decode(value, { stream: true })).split("\n\n");
    rest = blocks.pop();
    for (const text of blocks) {
      const fields = new Map(text.split("\n").map((line) => line.split(/: (.*)/s)));
      const data = fields.get("data");
      const chunk = data?.startsWith("{") ? JSON.parse(data) : undefined;
      const id = fields.has("id") ? Number(fields.get("id")) : undefined;
      yield { text, id, data, chunk };
    }
  }
}
