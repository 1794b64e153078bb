/** A JSON Schema (2020-12), as an object or `true`/`false`. */
export type JsonSchema = boolean | { readonly [keyword: string]: unknown };

/** A function the model may call. */
export interface ToolDefinition {
  name: string;
  /** What it does, for the model to read. */
  description?: string | undefined;
  /** JSON Schema of its arguments, an object. Default: no arguments. */
  parameters?: JsonSchema | undefined;
}

/** One call of a tool that a model wrote. */
export interface ToolCall {
  /** Made up by this package; the message with the result names it in `toolCallId`. */
  id: string;
  name: string;
  /** The arguments as JSON text. */
  arguments: string;
}
