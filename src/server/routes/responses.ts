import type { JsonObject } from "../body.js";
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
  const options = requestOptions(call.server, asked.options);
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
    whole: (used) => writer.response(used, "whole"),
    events: (used, pieces) => writer.events(used, pieces),
  });
};

/** Writes one response, whole or as named events. */
class ResponseWriter {
  readonly #asked: ResponseRequest;
  readonly #generation: Generation;
  readonly #id = `resp_${hex()}`;
  readonly #messageId = `msg_${hex()}`;
  readonly #callIds: string[] = [];
  readonly #created = Math.floor(Date.now() / 1000);

  constructor(asked: ResponseRequest, generation: Generation) {
    this.#asked = asked;
    this.#generation = generation;
  }

  /** @param state what of the answer is in it: nothing at the beginning, all at the end */
  response(used: UsedModel, state: "begun" | "whole"): JsonObject {
    const { values } = this.#asked;
    const { finishReason } = this.#answer;
    const cut = finishReason === "length" || finishReason === "context";
    const done = state === "whole";
    const usage = this.#generation.usage;
    return {
      id: this.#id,
      object: "response",
      created_at: this.#created,
      completed_at: done && !cut ? Math.floor(Date.now() / 1000) : null,
      status: done ? (cut ? "incomplete" : "completed") : "in_progress",
      background: false,
      error: null,
      incomplete_details: done && cut ? { reason: "max_output_tokens" } : null,
      instructions: values.instructions ?? null,
      max_output_tokens: values.max_output_tokens ?? null,
      max_tool_calls: values.max_tool_calls ?? null,
      model: used.name,
      system_fingerprint: used.fingerprint,
      output: done ? this.#output(used) : [],
      parallel_tool_calls: values.parallel_tool_calls ?? true,
      previous_response_id: null,
      presence_penalty: values.presence_penalty ?? 0,
      frequency_penalty: values.frequency_penalty ?? 0,
      prompt_cache_key: values.prompt_cache_key ?? null,
      reasoning: { effort: null, summary: null },
      safety_identifier: values.safety_identifier ?? null,
      service_tier: "default",
      store: false,
      temperature: values.temperature ?? null,
      text: { format: values.text?.format ?? { type: "text" } },
      tool_choice:
        typeof values.tool_choice === "object"
          ? { type: "function", name: values.tool_choice.name }
          : (values.tool_choice ?? "auto"),
      tools: values.tools?.map(({ given }) => given) ?? [],
      top_logprobs: values.top_logprobs ?? 0,
      top_p: values.top_p ?? null,
      truncation: values.truncation ?? "disabled",
      usage: done
        ? {
            input_tokens: usage.promptTokens,
            input_tokens_details: { cached_tokens: usage.cachedTokens },
            output_tokens: usage.completionTokens,
            output_tokens_details: { reasoning_tokens: 0 },
            total_tokens: usage.promptTokens + usage.completionTokens,
          }
        : null,
      user: values.user ?? null,
      metadata: values.metadata ?? {},
    };
  }

  async *events(used: UsedModel, pieces: AsyncIterable<ChoicePiece>): AsyncGenerator<ServerEvent, void, undefined> {
    let sequence = 0;
    const event = (type: string, fields: JsonObject, id?: number): ServerEvent => ({
      event: type,
      id,
      data: { type, sequence_number: sequence++, ...fields },
    });
    let begun = false;
    /** Where the text stands among the output; undefined until there is some. */
    let textIndex: number | undefined;
    let items = 0;
    const callIndex: number[] = [];
    const begin = () => [
      event("response.created", { response: this.response(used, "begun") }),
      event("response.in_progress", { response: this.response(used, "begun") }),
    ];
    for await (const { piece, tokens } of pieces) {
      if (!begun) yield* begin();
      begun = true;
      if (piece.text !== "") {
        if (textIndex === undefined) {
          textIndex = items++;
          yield event("response.output_item.added", {
            output_index: textIndex,
            item: this.#message("in_progress", []),
          });
          yield event("response.content_part.added", { ...this.#textPlace(textIndex), part: textPart("", []) });
        }
        const list =
          this.#asked.logprobs && piece.token >= 0
            ? [pieceLogprob(used.model, piece, this.#asked.values.top_logprobs ?? 0)]
            : [];
        yield event(
          "response.output_text.delta",
          { ...this.#textPlace(textIndex), delta: piece.text, logprobs: list },
          tokens,
        );
      }
      const delta = piece.toolCallDelta;
      if (!delta) continue;
      if (callIndex[delta.index] === undefined) {
        callIndex[delta.index] = items++;
        yield event("response.output_item.added", {
          output_index: callIndex[delta.index],
          item: this.#call(delta.index, "in_progress"),
        });
      }
      if (delta.arguments)
        yield event(
          "response.function_call_arguments.delta",
          { item_id: this.#callId(delta.index), output_index: callIndex[delta.index], delta: delta.arguments },
          tokens,
        );
    }
    if (!begun) yield* begin();
    const { text } = this.#answer;
    if (textIndex !== undefined) {
      const part = textPart(text, this.#logprobs(used));
      yield event("response.output_text.done", { ...this.#textPlace(textIndex), text, logprobs: part.logprobs });
      yield event("response.content_part.done", { ...this.#textPlace(textIndex), part });
      yield event("response.output_item.done", { output_index: textIndex, item: this.#message("completed", [part]) });
    }
    for (const [index, place] of callIndex.entries()) {
      const item = this.#call(index, "completed");
      yield event("response.function_call_arguments.done", {
        item_id: item.id,
        output_index: place,
        arguments: item.arguments,
      });
      yield event("response.output_item.done", { output_index: place, item });
    }
    const response = this.response(used, "whole");
    yield event(response.status === "incomplete" ? "response.incomplete" : "response.completed", { response });
  }

  get #answer(): Answer {
    return this.#generation.answers[0] as Answer;
  }

  #output(used: UsedModel): JsonObject[] {
    const { text, toolCalls } = this.#answer;
    const calls = toolCalls.map((_, index) => this.#call(index, "completed"));
    if (text === "" && calls.length > 0) return calls;
    return [this.#message("completed", [textPart(text, this.#logprobs(used))]), ...calls];
  }

  #message(status: string, content: JsonObject[]): JsonObject {
    return { id: this.#messageId, type: "message", status, role: "assistant", content };
  }

  #call(index: number, status: string): JsonObject {
    const { id, name, arguments: words } = this.#answer.toolCalls[index] ?? { id: "", name: "", arguments: "" };
    return {
      id: this.#callId(index),
      type: "function_call",
      status,
      call_id: id,
      name,
      arguments: status === "completed" ? words : "",
    };
  }

  #callId(index: number): string {
    this.#callIds[index] ??= `fc_${hex()}`;
    return this.#callIds[index] as string;
  }

  #textPlace(index: number): JsonObject {
    return { item_id: this.#messageId, output_index: index, content_index: 0 };
  }

  #logprobs(used: UsedModel): object[] {
    if (!this.#asked.logprobs) return [];
    return this.#answer.pieces.map((piece) => pieceLogprob(used.model, piece, this.#asked.values.top_logprobs ?? 0));
  }
}

function textPart(text: string, logprobs: object[]): JsonObject {
  return { type: "output_text", text, annotations: [], logprobs };
}

function hex(): string {
  return crypto.randomUUID().replaceAll("-", "");
}
