// What this package uses of specification v3 of the Vercel AI SDK's language models, so that its types need no other
// package. Names and fields as in @ai-sdk/provider.

export type Part =
  | { type: "text"; text: string }
  | { type: "file"; mediaType: string }
  | { type: "reasoning" | "tool-approval-response" }
  | { type: "tool-call"; toolCallId: string; toolName: string; input: unknown }
  | {
      type: "tool-result";
      toolCallId: string;
      toolName: string;
      output:
        | { type: "text" | "json" | "error-text" | "error-json" | "content"; value: unknown }
        | { type: "execution-denied"; reason?: string };
    };

export interface Message {
  role: "system" | "user" | "assistant" | "tool";
  content: string | Part[];
}

type Schema = { readonly [keyword: string]: unknown };

/** Options of one call. */
export interface Call {
  prompt: Message[];
  maxOutputTokens?: number;
  temperature?: number;
  stopSequences?: string[];
  topP?: number;
  topK?: number;
  presencePenalty?: number;
  frequencyPenalty?: number;
  responseFormat?: { type: "text" } | { type: "json"; schema?: object };
  seed?: number;
  tools?: (
    | { type: "function"; name: string; description?: string; inputSchema: object }
    | { type: "provider"; name: string }
  )[];
  toolChoice?: { type: "auto" | "none" | "required" } | { type: "tool"; toolName: string };
  abortSignal?: AbortSignal;
  providerOptions?: Record<string, Schema>;
}

export type Warning = { type: "unsupported"; feature: string; details?: string };

export type Content =
  | { type: "text"; text: string }
  | { type: "tool-call"; toolCallId: string; toolName: string; input: string };

export interface Finish {
  finishReason: { unified: "stop" | "length" | "tool-calls" | "other"; raw: string | undefined };
  usage: {
    inputTokens: { total: number; noCache: number; cacheRead: number; cacheWrite: undefined };
    outputTokens: { total: number; text: number; reasoning: undefined };
  };
}

export type StreamPart =
  | { type: "stream-start"; warnings: Warning[] }
  | { type: "response-metadata"; modelId: string; timestamp: Date }
  | { type: "text-start" | "text-end" | "tool-input-end"; id: string }
  | { type: "text-delta" | "tool-input-delta"; id: string; delta: string }
  | { type: "tool-input-start"; id: string; toolName: string }
  | Extract<Content, { type: "tool-call" }>
  | ({ type: "finish" } & Finish)
  | { type: "error"; error: unknown };

/** `LanguageModelV3`. */
export interface LanguageModel {
  readonly specificationVersion: "v3";
  readonly provider: string;
  readonly modelId: string;
  readonly supportedUrls: Record<string, RegExp[]>;
  doGenerate(call: Call): Promise<{ content: Content[]; warnings: Warning[] } & Finish>;
  doStream(call: Call): Promise<{ stream: ReadableStream<StreamPart> }>;
}
