import { resolveSampling } from "../../generate/sampling-options.js";
import type { Piece } from "../../types.js";
import type { JsonObject } from "../body.js";
import { toApiError } from "../errors.js";
import { type Answer, type ChoicePiece, Generation } from "../generation.js";
import { pieceLogprob } from "../logprobs.js";
import type { UsedModel } from "../registry.js";
import { type ResponseRequest, readResponseRequest } from "../responses-request.js";
import type { ServerEvent } from "../sse.js";
import { answer, type Endpoint, requestOptions, withSystem } from "../work.js";

/** `POST /v1/responses`: a conversation in OpenAI's newer form; nothing is kept by the server. */
export const responses: Endpoint = async (call) => {
  const asked = readResponseRequest(call.body);
  const { values, messages, logprobs } = asked;
  asked.options = requestOptions(call.server, asked.options);
  const { options } = asked;
  const generation = new Generation(1, options.seed);
  const writer = new ResponseWriter(asked, generation);
  return answer(call, {
    model: values.model,
    n: 1,
    stream: values.stream ?? false,
    resumeFrom: values.resume_from ?? 0,
    reproducible: options.seed !== undefined || options.temperature === 0,
    generation,
    pieces: (used, signal) =>
      generation.run(used.model, [withSystem(call.server, messages)], { ...options, signal }, { keep: logprobs }),
    whole: (used) => writer.whole(used),
    events: (used, pieces) => writer.events(used, pieces),
  });
};

type Status = "in_progress" | "completed" | "incomplete" | "failed";

/** A part of the output: the text, or one call of a tool. */
interface Item {
  id: string;
  /** Place in the output. */
  index: number;
  /** Which call; undefined: the text. */
  call: number | undefined;
}

/** Writes one response, whole or as named events: openresponses.org, version 2026-04-24. */
class ResponseWriter {
  readonly #asked: ResponseRequest;
  readonly #generation: Generation;
  readonly #id = `resp_${hex()}`;
  readonly #created = Math.floor(Date.now() / 1000);
  /** In the order they began. */
  readonly #items: Item[] = [];
  #sequence = 0;

  constructor(asked: ResponseRequest, generation: Generation) {
    this.#asked = asked;
    this.#generation = generation;
  }

  /** The response, when all pieces have come. */
  whole(used: UsedModel): JsonObject {
    const { text, toolCalls, finishReason } = this.#answer;
    if (text !== "" || toolCalls.length === 0) this.#find(undefined);
    for (const call of toolCalls.keys()) this.#find(call);
    const cut = finishReason === "length" || finishReason === "context";
    const output = this.#items.map((item) => this.#ended(used, item));
    return this.#response(used, cut ? "incomplete" : "completed", output);
  }

  /** The response as events. A failure is one of them, since the status was sent long ago. */
  async *events(used: UsedModel, pieces: AsyncIterable<ChoicePiece>): AsyncGenerator<ServerEvent, void, undefined> {
    let begun = false;
    const begin = (): ServerEvent[] => {
      if (begun) return [];
      begun = true;
      const response = this.#response(used, "in_progress", []);
      return [this.#event("response.created", { response }), this.#event("response.in_progress", { response })];
    };
    try {
      for await (const { piece, tokens } of pieces) {
        yield* begin();
        yield* this.#delta(used, piece, tokens);
      }
    } catch (error) {
      // What fails before anything was sent is answered with its status.
      if (!begun) throw error;
      yield* this.#failure(used, error);
      return;
    }
    yield* begin();
    // An answer without any text is an empty one.
    if (this.#items.length === 0) yield* this.#begin(undefined);
    for (const item of this.#items) yield* this.#end(used, item);
    const response = this.whole(used);
    yield this.#event(`response.${response.status}`, { response });
    yield { data: "[DONE]" };
  }

  /** What a piece adds. */
  *#delta(used: UsedModel, piece: Piece, tokens: number): Generator<ServerEvent> {
    const { text, toolCallDelta: call } = piece;
    if (text !== "") {
      yield* this.#begin(undefined);
      const { logprobs, values } = this.#asked;
      const list = logprobs && piece.token >= 0 ? [pieceLogprob(used.model, piece, values.top_logprobs ?? 0)] : [];
      const fields = { ...place(this.#find(undefined)), content_index: 0, delta: text, logprobs: list };
      yield this.#event("response.output_text.delta", fields, tokens);
    }
    if (!call) return;
    yield* this.#begin(call.index);
    const fields = { ...place(this.#find(call.index)), delta: call.arguments };
    if (call.arguments) yield this.#event("response.function_call_arguments.delta", fields, tokens);
  }

  /** Announces an item, unless it was announced already. */
  *#begin(call: number | undefined): Generator<ServerEvent> {
    if (this.#items.some((item) => item.call === call)) return;
    const item = this.#find(call);
    const added = { output_index: item.index, item: this.#itemJson(item, "in_progress", [], "") };
    yield this.#event("response.output_item.added", added);
    const part = { ...place(item), content_index: 0, part: textPart("", []) };
    if (call === undefined) yield this.#event("response.content_part.added", part);
  }

  *#end(used: UsedModel, item: Item): Generator<ServerEvent> {
    const ended = this.#ended(used, item);
    if (item.call === undefined) {
      const [part] = ended.content as [ReturnType<typeof textPart>];
      const at = { ...place(item), content_index: 0 };
      yield this.#event("response.output_text.done", { ...at, text: part.text, logprobs: part.logprobs });
      yield this.#event("response.content_part.done", { ...at, part });
    } else yield this.#event("response.function_call_arguments.done", { ...place(item), arguments: ended.arguments });
    yield this.#event("response.output_item.done", { output_index: item.index, item: ended });
  }

  *#failure(used: UsedModel, error: unknown): Generator<ServerEvent> {
    const { type, code, message, param } = toApiError(error).body.error;
    yield this.#event("error", { error: { type, code: code ?? type, message, param } });
    const response = { ...this.#response(used, "failed", []), error: { code: code ?? type, message } };
    yield this.#event("response.failed", { response });
    yield { data: "[DONE]" };
  }

  #event(type: string, fields: JsonObject, id?: number): ServerEvent {
    return { event: type, id, data: { type, sequence_number: this.#sequence++, ...fields } };
  }

  get #answer(): Answer {
    return this.#generation.answers[0] as Answer;
  }

  /** The item of a call or of the text, a new one if there is none yet. */
  #find(call: number | undefined): Item {
    let item = this.#items.find((each) => each.call === call);
    if (!item) {
      item = { id: `${call === undefined ? "msg" : "fc"}_${hex()}`, index: this.#items.length, call };
      this.#items.push(item);
    }
    return item;
  }

  /** An item as it is in the end: the last one of an answer that was cut is cut as well. */
  #ended(used: UsedModel, item: Item): JsonObject {
    const { text, pieces, finishReason, toolCalls } = this.#answer;
    const cut = (finishReason === "length" || finishReason === "context") && item === this.#items.at(-1);
    const top = this.#asked.values.top_logprobs ?? 0;
    const logprobs = this.#asked.logprobs ? pieces.map((piece) => pieceLogprob(used.model, piece, top)) : [];
    const words = item.call === undefined ? "" : (toolCalls[item.call]?.arguments ?? "");
    return this.#itemJson(item, cut ? "incomplete" : "completed", [textPart(text, logprobs)], words);
  }

  #itemJson({ id, call }: Item, status: Status, content: JsonObject[], words: string): JsonObject {
    if (call === undefined) return { id, type: "message", status, role: "assistant", content };
    const { id: callId = "", name = "" } = this.#answer.toolCalls[call] ?? {};
    return { id, type: "function_call", status, call_id: callId, name, arguments: words };
  }

  /** Repeats what was asked, and with which values it was computed. */
  #response(used: UsedModel, status: Status, output: JsonObject[]): JsonObject {
    const { body, values, options } = this.#asked;
    const sampling = resolveSampling(options, used.model.file.sampling);
    const { promptTokens, cachedTokens, completionTokens } = this.#generation.usage;
    const over = status === "completed" || status === "incomplete";
    return {
      id: this.#id,
      object: "response",
      created_at: this.#created,
      completed_at: status === "completed" ? Math.floor(Date.now() / 1000) : null,
      status,
      background: false,
      error: null,
      incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
      instructions: values.instructions ?? null,
      max_output_tokens: values.max_output_tokens ?? null,
      max_tool_calls: values.max_tool_calls ?? null,
      model: used.name,
      system_fingerprint: used.fingerprint,
      output,
      parallel_tool_calls: values.parallel_tool_calls ?? true,
      previous_response_id: null,
      presence_penalty: sampling.presencePenalty,
      frequency_penalty: sampling.frequencyPenalty,
      prompt_cache_key: values.prompt_cache_key ?? null,
      reasoning: { effort: null, summary: null },
      safety_identifier: values.safety_identifier ?? null,
      service_tier: "default",
      store: false,
      temperature: sampling.temperature,
      text: { format: values.text?.format ?? { type: "text" } },
      tool_choice: body.tool_choice ?? "auto",
      tools: (values.tools ?? []).map(({ definition: { name, description = null, parameters = null }, strict }) => ({
        type: "function",
        name,
        description,
        parameters,
        strict,
      })),
      top_logprobs: values.top_logprobs ?? 0,
      top_p: values.top_p ?? sampling.topP,
      truncation: values.truncation ?? "disabled",
      usage: over
        ? {
            input_tokens: promptTokens,
            input_tokens_details: { cached_tokens: cachedTokens },
            output_tokens: completionTokens,
            output_tokens_details: { reasoning_tokens: 0 },
            total_tokens: promptTokens + completionTokens,
          }
        : null,
      user: values.user ?? null,
      metadata: values.metadata ?? {},
    };
  }
}

/** Where events say that an item stands. */
function place({ id, index }: Item): JsonObject {
  return { item_id: id, output_index: index };
}

function textPart(text: string, logprobs: object[]) {
  return { type: "output_text", text, annotations: [], logprobs };
}

function hex(): string {
  return crypto.randomUUID().replaceAll("-", "");
}
