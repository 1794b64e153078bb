import type { Piece } from "../types/results.js";
import type { ToolCall } from "../types/tools.js";

/** Puts the parts of tool calls together. */
export function collectCall(calls: ToolCall[], delta: Piece["toolCallDelta"]): void {
  if (!delta) return;
  calls[delta.index] ??= { id: "", name: "", arguments: "" };
  const call = calls[delta.index] as ToolCall;
  call.id ||= delta.id ?? "";
  call.name += delta.name ?? "";
  call.arguments += delta.arguments ?? "";
}
