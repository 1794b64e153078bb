import {
  DeltaLLMError,
  FormatError,
  MemoryError,
  OptionError,
  SessionError,
  SourceError,
  TokenizerError,
  UnsupportedError,
} from "../errors.js";

/** An error as the OpenAI API answers it: `{ error: { message, type, param, code } }`. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
  /** Seconds for the header Retry-After. */
  readonly retryAfter: number | undefined;
  /** Methods for the header Allow. */
  readonly allow: string | undefined;

  constructor(
    status: number,
    message: string,
    {
      type = status >= 500 ? "server_error" : "invalid_request_error",
      param = null,
      code = null,
      retryAfter,
      allow,
    }: { type?: string; param?: string | null; code?: string | null; retryAfter?: number; allow?: string } = {},
  ) {
    super(message);
    this.status = status;
    this.type = type;
    this.param = param;
    this.code = code;
    this.retryAfter = retryAfter;
    this.allow = allow;
  }

  get body(): { error: { message: string; type: string; param: string | null; code: string | null } } {
    const { message, type, param, code } = this;
    return { error: { message, type, param, code } };
  }
}

/** A request's parameter that cannot be used. */
export function badParameter(param: string, message: string, code: string | null = "invalid_value"): ApiError {
  return new ApiError(400, message, { param, code });
}

/** Names of the library's options in requests, for messages about them. */
const parameterNames: Record<string, string> = {
  maxTokens: "max_tokens",
  topK: "top_k",
  topP: "top_p",
  minP: "min_p",
  typicalP: "typical_p",
  repetitionPenalty: "repeat_penalty",
  repetitionWindow: "repeat_last_n",
  presencePenalty: "presence_penalty",
  frequencyPenalty: "frequency_penalty",
  logitBias: "logit_bias",
  topLogprobs: "top_logprobs",
  schema: "response_format",
  toolChoice: "tool_choice",
  dryMultiplier: "dry_multiplier",
  dryBase: "dry_base",
  dryAllowedLength: "dry_allowed_length",
  dryWindow: "dry_penalty_last_n",
  drySequenceBreakers: "dry_sequence_breakers",
  ids: "prompt",
};

/** What is answered for anything thrown while a request was served. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof OptionError) {
    const key = error.place.key;
    const param = key === undefined ? null : (parameterNames[/^\w+/.exec(key)?.[0] ?? ""] ?? key);
    return new ApiError(400, error.message, { param, code: "invalid_value" });
  }
  if (error instanceof SessionError && /context/.test(error.message))
    return new ApiError(400, error.message, { param: "messages", code: "context_length_exceeded" });
  if (error instanceof TokenizerError) return new ApiError(400, error.message, { param: "messages" });
  if (error instanceof MemoryError) return new ApiError(503, error.message, { code: "out_of_memory", retryAfter: 5 });
  if (error instanceof SourceError || error instanceof FormatError || error instanceof UnsupportedError)
    return new ApiError(503, `The model could not be loaded: ${error.message}`, { code: "model_not_loaded" });
  if (error instanceof DeltaLLMError) return new ApiError(500, error.message);
  return new ApiError(500, "Something went wrong inside the server; its log says more", { code: "internal_error" });
}
