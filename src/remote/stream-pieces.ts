import { endWhenForgotten } from "../generate/forgotten.js";
import type { Piece } from "../types.js";
import type { Endpoint } from "./endpoint.js";

/**
 * Pieces that may be on their way: enough that the engine never waits for a reader that keeps up. Fewer than the tokens
 * a delta cache can take back without computing anything anew.
 */
const AHEAD = 12;

/** The pieces of a generation on the other side. */
export function streamPieces(
  endpoint: Endpoint,
  target: string,
  method: string,
  args: readonly unknown[],
): AsyncGenerator<Piece, void, undefined> {
  return endWhenForgotten(endpoint.stream<Piece>(target, method, args, AHEAD));
}
