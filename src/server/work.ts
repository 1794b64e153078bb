import type { ChatMessage, GenerateOptions } from "../types.js";
import type { Admission } from "./admission.js";
import { type JsonObject, json } from "./body.js";
import { ApiError, badParameter } from "./errors.js";
import type { ChoicePiece, Generation } from "./generation.js";
import type { Metrics } from "./metrics.js";
import { once } from "./once.js";
import type { RequestRecord, ResolvedOptions } from "./options.js";
import type { ModelRegistry, UsedModel } from "./registry.js";
import { eventStream, orSilence, type ServerEvent } from "./sse.js";

/** An answer that is being computed, for `/slots`. */
export interface RunningRequest {
  id: string;
  model: string;
  started: number;
  generation: Generation;
}

/** What all endpoints share. */
export interface Server {
  readonly options: ResolvedOptions;
  readonly registry: ModelRegistry;
  readonly admission: Admission;
  readonly metrics: Metrics;
  readonly running: Set<RunningRequest>;
  readonly started: number;
}

/** One request on its way through the server. */
export interface Call {
  readonly server: Server;
  readonly request: Request;
  readonly url: URL;
  readonly body: JsonObject;
  /** Whose it is, for limits per key. */
  readonly key: string;
  /** Aborted when the client goes away or the time is over. */
  readonly signal: AbortSignal;
  /** Aborts `signal`. */
  readonly abort: (reason: unknown) => void;
  readonly record: RequestRecord;
  /** Called once, after the last byte. */
  readonly finish: () => void;
}

/** Answers one endpoint. */
export type Endpoint = (call: Call) => Promise<Response>;

/** How one endpoint writes the answers of a generation. */
export interface GenerationPlan {
  model: string | undefined;
  n: number;
  stream: boolean;
  resumeFrom: number;
  /** Whether the answer is the same every time: a seed is given or nothing is drawn. */
  reproducible: boolean;
  generation: Generation;
  /** Starts writing. */
  pieces: (used: UsedModel, signal: AbortSignal) => AsyncGenerator<ChoicePiece, void, undefined>;
  /** The whole answer. */
  whole: (used: UsedModel) => unknown;
  /** The answer as events, from the pieces. */
  events: (used: UsedModel, pieces: AsyncIterable<ChoicePiece>) => AsyncGenerator<ServerEvent, void, undefined>;
}

/** What a generation is asked for, with the server's defaults and limit. */
export function requestOptions({ options }: Server, asked: GenerateOptions): GenerateOptions {
  const given = Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined));
  const merged: GenerateOptions = { ...options.defaults, ...given };
  const most = Math.min(merged.maxTokens ?? Number.POSITIVE_INFINITY, options.maxTokens ?? Number.POSITIVE_INFINITY);
  return Number.isFinite(most) ? { ...merged, maxTokens: most } : merged;
}

/** The conversation, with the server's system message where it has none. */
export function withSystem({ options }: Server, messages: readonly ChatMessage[]): readonly ChatMessage[] {
  if (options.system === undefined || messages[0]?.role === "system") return messages;
  return [{ role: "system", content: options.system }, ...messages];
}

/** Waits for a place and for the model, runs the generation, and answers as a whole or as a stream. */
export async function answer(call: Call, plan: GenerationPlan): Promise<Response> {
  const { server, signal, record } = call;
  const resumeFrom = resumePoint(call, plan);
  if (!plan.stream) plan.generation.skipped = resumeFrom;
  const asked = performance.now();
  const leave = await server.admission.enter(plan.n, call.key, signal);
  server.metrics.waited((performance.now() - asked) / 1000);
  const running: RunningRequest = {
    id: record.id,
    model: plan.model ?? (server.registry.names[0] as string),
    started: Date.now(),
    generation: plan.generation,
  };
  server.running.add(running);
  let used: UsedModel | undefined;
  const end = once(() => {
    server.running.delete(running);
    used?.release();
    leave();
    const { timings, usage, answers } = plan.generation;
    server.metrics.generation(timings, plan.n);
    Object.assign(record, usage);
    record.finishReason = answers[0]?.finishReason;
    if (server.options.logPrompts) record.answer = answers.map(({ text }) => text).join("\n");
  });
  try {
    used = await server.registry.use(plan.model, signal);
    record.model = used.name;
    const pieces = afterTokens(plan.pieces(used, signal), resumeFrom, record);
    if (!plan.stream) {
      for await (const _ of pieces);
      const value = plan.whole(used);
      end();
      return json(value);
    }
    const source = plan.events(used, pieces);
    const first = source.next();
    // An error that comes at once is answered as one; a long prompt starts the stream, so that pings can be sent.
    await orSilence(first, server.options.pingInterval);
    return stream(call, source, first, end);
  } catch (error) {
    end();
    throw error;
  }
}

/** The answer as a stream; `end` is called when it is over, however it ends. */
function stream(
  call: Call,
  source: AsyncGenerator<ServerEvent, void, undefined>,
  first: Promise<IteratorResult<ServerEvent>>,
  end: () => void,
): Response {
  let asked = true;
  const over = async () => {
    await source.return().catch(() => undefined);
    end();
    call.finish();
  };
  let late: ReturnType<typeof setTimeout> | undefined;
  // Who asks for another event is told by it why there are no more; who does not read any more must not keep a place, and
  // after a while no memory.
  const stopped = () => {
    end();
    late = setTimeout(() => {
      if (!asked) void over();
    }, 1000);
    (late as { unref?: () => void }).unref?.();
  };
  const watched = (async function* () {
    try {
      for (let result = await first; !result.done; result = await source.next()) {
        asked = false;
        yield result.value;
        asked = true;
      }
      if (!call.record.error) call.signal.throwIfAborted();
    } finally {
      clearTimeout(late);
      call.signal.removeEventListener("abort", stopped);
      await over();
    }
  })();
  call.signal.addEventListener("abort", stopped, { once: true });
  let ended = false;
  const body = eventStream(watched, {
    pingInterval: call.server.options.pingInterval,
    cancel: () => {
      if (ended) return;
      ended = true;
      call.abort(new ApiError(499, "The client has gone"));
    },
  });
  return new Response(body, {
    headers: {
      "Content-Type": "text/event-stream; charset=utf-8",
      "Cache-Control": "no-cache",
      // nginx would keep the stream back otherwise.
      "X-Accel-Buffering": "no",
    },
  });
}

/** How many tokens the client has already: it says so itself, or its event source does. */
function resumePoint({ request }: Call, plan: GenerationPlan): number {
  const last = request.headers.get("last-event-id");
  const from = plan.resumeFrom || (last !== null && /^\d{1,9}$/.test(last) ? Number(last) : 0);
  if (from === 0) return 0;
  if (plan.n > 1) throw badParameter("resume_from", "Only a single answer (n: 1) can be resumed");
  if (!plan.reproducible)
    throw badParameter(
      "resume_from",
      "Only an answer with a seed, or with temperature 0, can be resumed",
      "missing_required_parameter",
    );
  return from;
}

/** Leaves out what belongs to the first tokens: the same request gives the same ones again. */
async function* afterTokens(
  pieces: AsyncGenerator<ChoicePiece, void, undefined>,
  from: number,
  record: RequestRecord,
): AsyncGenerator<ChoicePiece, void, undefined> {
  try {
    for await (const each of pieces) if (each.tokens > from || each.piece.finishReason) yield each;
  } catch (error) {
    record.error = error instanceof Error ? error.message : String(error);
    throw error;
  }
}
