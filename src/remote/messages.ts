import type { ErrorData } from "./errors.js";

/**
 * A function or an AbortSignal among the arguments of a call, in whose place nothing is sent. Kept apart from the arguments,
 * so that nothing in them is taken for one.
 */
export interface Lent {
  what: "function" | "signal";
  id: number;
  aborted?: boolean;
  /** Which argument it is, or which property of that argument. */
  arg: number;
  key: string | undefined;
}

/** A method of the other side's object is called. */
export interface Call {
  do: "call";
  id: number;
  target: string;
  method: string;
  args: unknown[];
  lent: Lent[];
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

type Given = ((...args: unknown[]) => unknown) | AbortSignal;

/** The arguments without the functions and signals among them, or one level into them, each of which is given to `lend`. */
export function takeOut(
  args: readonly unknown[],
  lend: (value: Given, arg: number, key: string | undefined) => void,
): unknown[] {
  const without = (value: unknown, arg: number, key?: string): unknown => {
    if (typeof value !== "function" && !(value instanceof AbortSignal)) return value;
    return lend(value as Given, arg, key);
  };
  return args.map((arg, i) => {
    if (!isPlain(arg)) return without(arg, i);
    return Object.fromEntries(Object.entries(arg).map(([key, value]) => [key, without(value, i, key)]));
  });
}

/** The arguments with something in each place of `lent`. */
export function putBack(args: readonly unknown[], lent: readonly Lent[], borrow: (lent: Lent) => unknown): unknown[] {
  const all = [...args];
  for (const each of lent) {
    const value = borrow(each);
    if (each.key === undefined) all[each.arg] = value;
    else (all[each.arg] as Record<string, unknown>)[each.key] = value;
  }
  return all;
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
