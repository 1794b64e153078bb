import type { Piece } from "../../types.js";
import type { JsonObject } from "../body.js";
import { badParameter } from "../errors.js";
import { type ChoicePiece, finishReason, Generation, usageJson } from "../generation.js";
import { finite, tokenText } from "../logprobs.js";
import { flag, list, object, only, type Parameters, type Parse, readParameters, whole } from "../parameters.js";
import type { UsedModel } from "../registry.js";
import {
  ignoredParameters,
  type LimitParameters,
  limitParameters,
  maxTokens,
  type SamplingParameters,
  samplingOptions,
  samplingParameters,
} from "../sampling-parameters.js";
import type { ServerEvent } from "../sse.js";
import { answer, type Endpoint, requestOptions } from "../work.js";

interface CompletionParameters extends SamplingParameters, LimitParameters {
  prompt: (string | number[])[];
  logprobs: number;
  echo: boolean;
  best_of: unknown;
  suffix: unknown;
  json_schema: JsonObject;
}

const ids = list(whole(0, 2 ** 31 - 1), 1 << 20);

/** A text, token ids, or a list of them. */
const prompt: Parse<(string | number[])[]> = (value, param) => {
  if (typeof value === "string") return [value];
  if (!Array.isArray(value) || value.length === 0)
    throw badParameter(param, `${param} must be a text, a list of token ids, or a list of such`);
  if (value.every((each) => typeof each === "number")) return [ids(value, param)];
  return list((each, at) => (typeof each === "string" ? each : ids(each, at)), 128)(value, param);
};

const completionParameters: Parameters<CompletionParameters> = {
  ...samplingParameters,
  ...limitParameters,
  prompt,
  logprobs: whole(0, 20),
  echo: flag,
  best_of: only(1),
  suffix: only(""),
  json_schema: object,
};

/** Tokens written when the request does not say how many, as in OpenAI's API. */
const DEFAULT_MAX_TOKENS = 16;

/** `POST /v1/completions`: goes on with a text, without a chat template. */
export const completions: Endpoint = async (call) => {
  const values = readParameters<CompletionParameters>(call.body, completionParameters, ignoredParameters);
  const { n = 1, echo = false, logprobs } = values;
  if (values.prompt === undefined)
    throw badParameter("prompt", "The parameter prompt is missing", "missing_required_parameter");
  const prompts = values.prompt;
  if (echo && logprobs !== undefined)
    throw badParameter("echo", "echo is not supported together with logprobs", "unsupported_value");
  const options = requestOptions(call.server, {
    ...samplingOptions(values),
    maxTokens: maxTokens(values, DEFAULT_MAX_TOKENS),
    ...(logprobs === undefined ? {} : { topLogprobs: logprobs }),
    ...(values.json_schema ? { schema: values.json_schema } : {}),
  });
  const generation = new Generation(n, options.seed, prompts.length);
  const id = `cmpl-${crypto.randomUUID().replaceAll("-", "")}`;
  const created = Math.floor(Date.now() / 1000);
  const envelope = (used: UsedModel) => ({
    id,
    object: "text_completion",
    created,
    model: used.name,
    system_fingerprint: used.fingerprint,
  });
  const echoed = (used: UsedModel, choice: number) => {
    const given = prompts[Math.floor(choice / n)] as string | number[];
    return !echo ? "" : typeof given === "string" ? given : used.model.tokenizer.decode(given);
  };

  async function* events(
    used: UsedModel,
    pieces: AsyncIterable<ChoicePiece>,
  ): AsyncGenerator<ServerEvent, void, undefined> {
    const begun = new Set<number>();
    const chunk = (choice: number, text: string, rest: object = {}) => ({
      ...envelope(used),
      choices: [{ index: choice, text, logprobs: null, finish_reason: null, ...rest }],
      ...(values.stream_options?.include_usage ? { usage: null } : {}),
    });
    for await (const { choice, piece, tokens } of pieces) {
      if (!begun.has(choice)) {
        begun.add(choice);
        if (echo) yield { data: chunk(choice, echoed(used, choice)) };
      }
      if (piece.text !== "" || (logprobs !== undefined && piece.token >= 0))
        yield {
          id: tokens,
          data: chunk(
            choice,
            piece.text,
            logprobs === undefined || piece.token < 0 ? {} : { logprobs: logprobsOf(used, [piece], logprobs) },
          ),
        };
      if (piece.finishReason)
        yield { id: tokens, data: chunk(choice, "", { finish_reason: finishReason(piece.finishReason) }) };
    }
    if (values.stream_options?.include_usage)
      yield {
        data: { ...envelope(used), choices: [], usage: usageJson(generation.usage), timings: generation.timings },
      };
    yield { data: "[DONE]" };
  }

  return answer(call, {
    model: values.model,
    n: prompts.length * n,
    stream: values.stream ?? false,
    resumeFrom: values.resume_from ?? 0,
    reproducible: options.seed !== undefined || options.temperature === 0,
    generation,
    pieces: (used, signal) =>
      generation.run(used.model, prompts, { ...options, signal }, { keep: logprobs !== undefined }),
    whole: (used) => ({
      ...envelope(used),
      choices: generation.answers.map((each, index) => ({
        index,
        text: echoed(used, index) + each.text,
        logprobs: logprobs === undefined ? null : logprobsOf(used, each.pieces, logprobs),
        finish_reason: finishReason(each.finishReason),
      })),
      usage: usageJson(generation.usage),
      timings: generation.timings,
    }),
    events,
  });
};

function logprobsOf({ model }: UsedModel, pieces: readonly Piece[], top: number): object {
  let offset = 0;
  return {
    tokens: pieces.map(({ token }) => tokenText(model, token)),
    token_logprobs: pieces.map(({ logprob }) => finite(logprob)),
    top_logprobs: pieces.map(({ topLogprobs = [] }) =>
      Object.fromEntries(
        topLogprobs.slice(0, top).map(({ token, logprob }) => [tokenText(model, token), finite(logprob)]),
      ),
    ),
    text_offset: pieces.map(({ text }) => {
      const at = offset;
      offset += text.length;
      return at;
    }),
  };
}
