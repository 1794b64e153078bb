import type { Progress } from "./common.js";
import type { SamplingOptions } from "./sampling-options.js";
import type { JsonSchema, ToolDefinition } from "./tools.js";

/** Options of one generation. */
export interface GenerateOptions extends SamplingOptions {
  /** Most tokens to produce. Default: until the model ends its text, a stop string appears or the context is full. */
  maxTokens?: number | undefined;
  /** Generation ends before the first of these texts; they are not part of the output. */
  stop?: string | readonly string[] | undefined;
  /** Breaks the generation off within a token; it throws the signal's reason. The session stays usable. */
  signal?: AbortSignal | undefined;
  /** Called while the prompt is computed. */
  onProgress?: ((progress: Progress) => void) | undefined;
  /**
   * What to do when the context is full. `error`: a prompt that does not fit is a SessionError before anything is
   * computed; an answer that reaches the end of the context ends there with the finish reason `context`. `stop`: both end
   * with the finish reason `context`. `shift`: the oldest part is dropped, the beginning (a chat's system prompt; the
   * model's first token) and the newest part are kept and computed again. Default: `error`, in a chat `shift`.
   */
  contextOverflow?: "error" | "stop" | "shift" | undefined;
  /** Told each time `contextOverflow: "shift"` drops something. */
  onContextShift?: ((shift: ContextShift) => void) | undefined;
  /** The answer is JSON that this JSON Schema describes. At most one of `schema`, `regex` and `grammar`. */
  schema?: JsonSchema | undefined;
  /** The whole answer matches this regular expression. */
  regex?: string | RegExp | undefined;
  /** The whole answer follows this grammar, in GBNF. */
  grammar?: string | undefined;
  /** Functions the model may call. */
  tools?: readonly ToolDefinition[] | undefined;
  /** `auto`: the model decides; `none`: no call; `required`: at least one; a name: that tool. Default `auto`. */
  toolChoice?: "auto" | "none" | "required" | { name: string } | undefined;
  /** An answer may call several tools, or one several times. Default true. */
  parallelToolCalls?: boolean | undefined;
  /**
   * Propose how the text may go on, as it did after the same tokens before or as a constraint leaves no choice, and verify
   * several tokens in one pass. Tokens, log-probabilities and random numbers are exactly those without it. `"auto"`:
   * where it is expected to save time, judged by how long passes took, and given up where it does not; true: tried more
   * eagerly. Default false. With delta attention never.
   */
  speculation?: boolean | "auto" | undefined;
  /** The n likeliest tokens with each piece, 0 … 100. Default: none. */
  topLogprobs?: number | undefined;
}

/** What `contextOverflow: "shift"` dropped. */
export interface ContextShift {
  /** Tokens that were dropped. */
  droppedTokens: number;
  /** Of a chat: messages that the model does not see any more. */
  droppedMessages: number;
  /** The same in words. */
  note: string;
}
