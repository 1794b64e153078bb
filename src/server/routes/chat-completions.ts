import type { Model, Piece } from "../../types.js";
import { readChatRequest } from "../chat-request.js";
import { type Answer, type ChoicePiece, finishReason, Generation, usageJson } from "../generation.js";
import { pieceLogprob } from "../logprobs.js";
import type { UsedModel } from "../registry.js";
import type { ServerEvent } from "../sse.js";
import { answer, type Endpoint, requestOptions, withSystem } from "../work.js";

/** `POST /v1/chat/completions` */
export const chatCompletions: Endpoint = async (call) => {
  const asked = readChatRequest(call.body);
  const { n, logprobs } = asked;
  const options = requestOptions(call.server, asked.options);
  const generation = new Generation(n, options.seed);
  const id = `chatcmpl-${crypto.randomUUID().replaceAll("-", "")}`;
  const created = Math.floor(Date.now() / 1000);
  const envelope = (used: UsedModel, object: string) => ({
    id,
    object,
    created,
    model: used.name,
    system_fingerprint: used.fingerprint,
  });

  async function* events(
    used: UsedModel,
    pieces: AsyncIterable<ChoicePiece>,
  ): AsyncGenerator<ServerEvent, void, undefined> {
    const chunk = (choice: number, delta: object, rest: object = {}) => ({
      ...envelope(used, "chat.completion.chunk"),
      choices: [{ index: choice, delta, logprobs: null, finish_reason: null, ...rest }],
      ...(asked.includeUsage ? { usage: null } : {}),
    });
    const begun = new Set<number>();
    for await (const { choice, piece, tokens } of pieces) {
      if (!begun.has(choice)) {
        begun.add(choice);
        yield { data: chunk(choice, { role: "assistant", content: "" }) };
      }
      const delta = deltaOf(piece);
      const list = logprobs && piece.token >= 0 ? [pieceLogprob(used.model, piece, asked.topLogprobs)] : undefined;
      if (delta || list)
        yield {
          id: tokens,
          data: chunk(choice, delta ?? {}, list ? { logprobs: { content: list, refusal: null } } : {}),
        };
      if (piece.finishReason)
        yield { id: tokens, data: chunk(choice, {}, { finish_reason: finishReason(piece.finishReason) }) };
    }
    const { timings, usage } = generation;
    if (asked.includeUsage)
      yield {
        data: { ...envelope(used, "chat.completion.chunk"), choices: [], usage: usageJson(usage), timings },
      };
    yield { data: "[DONE]" };
  }

  return answer(call, {
    model: asked.model,
    n,
    stream: asked.stream,
    resumeFrom: asked.resumeFrom,
    reproducible: options.seed !== undefined || options.temperature === 0,
    generation,
    pieces: (used, signal) =>
      generation.run(used.model, [withSystem(call.server, asked.messages)], { ...options, signal }, { keep: logprobs }),
    whole: (used) => ({
      ...envelope(used, "chat.completion"),
      choices: generation.answers.map((each, index) => ({
        index,
        message: messageOf(each),
        logprobs: logprobs ? { content: logprobsOf(used.model, each, asked.topLogprobs), refusal: null } : null,
        finish_reason: finishReason(each.finishReason),
      })),
      usage: usageJson(generation.usage),
      timings: generation.timings,
    }),
    events,
  });
};

function deltaOf(piece: Piece): object | undefined {
  const call = piece.toolCallDelta;
  if (!call) return piece.text === "" ? undefined : { content: piece.text };
  const { index, id, name, arguments: words } = call;
  return {
    ...(piece.text === "" ? {} : { content: piece.text }),
    tool_calls: [
      {
        index,
        ...(id === undefined ? {} : { id, type: "function" }),
        function: { ...(name === undefined ? {} : { name }), arguments: words ?? "" },
      },
    ],
  };
}

function messageOf({ text, toolCalls }: Answer): object {
  if (toolCalls.length === 0) return { role: "assistant", content: text, refusal: null };
  return {
    role: "assistant",
    content: text === "" ? null : text,
    refusal: null,
    tool_calls: toolCalls.map(({ id, name, arguments: words }) => ({
      id,
      type: "function",
      function: { name, arguments: words },
    })),
  };
}

function logprobsOf(model: Model, { pieces }: Answer, top: number): object[] {
  return pieces.map((piece) => pieceLogprob(model, piece, top));
}
