import type { ErrorData } from "./errors.js";

/** What stands for a function or an AbortSignal among the arguments of a call. */
export interface Reference {
  reference: "function" | "signal";
  id: number;
  aborted?: boolean;
}

/** A method of the other side's object is called. */
export interface Call {
  do: "call";
  id: number;
  target: string;
  method: string;
  args: unknown[];
  /** Keep the result under this name instead of sending it. */
  as?: string | undefined;
  /** Iterate over the result, and send so many items that are not yet taken. */
  ahead?: number | undefined;
}

export type Message =
  | Call
  /** Items of the result of a call with `ahead`. */
  | { do: "items"; id: number; items: unknown[]; last: boolean; note: unknown }
  /** So many of them were taken; `stop`: no more are wanted. */
  | { do: "taken"; id: number; count: number; stop: boolean }
  | { do: "result"; id: number; value: unknown; note: unknown }
  | { do: "error"; id: number; error: ErrorData; signal: number | undefined; note: unknown }
  /** A function of the arguments is called; nobody waits for its result. */
  | { do: "invoke"; id: number; args: unknown[] }
  | { do: "abort"; id: number }
  | { do: "release"; ids: number[] }
  | { do: "forget"; target: string };

/** Whether this is an object literal. */
export function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** The same object with every value changed. */
export function mapValues(
  object: Record<string, unknown>,
  change: (value: unknown) => unknown,
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));
}

/** Bytes in a buffer of their own: clones of views take the whole buffer along, and what a source keeps must stay. */
export function ownBytes(value: unknown): unknown {
  return value instanceof Uint8Array ? value.slice() : value;
}

/** Arrays of numbers move instead of being copied, when they are all there is in their buffer. */
export function transferable(value: unknown): Transferable[] {
  if (!(value instanceof Float32Array || value instanceof Uint8Array)) return [];
  if (!(value.buffer instanceof ArrayBuffer)) return [];
  return value.byteLength === value.buffer.byteLength ? [value.buffer] : [];
}
