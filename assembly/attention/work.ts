import { NEAR_BYTES } from "./scores";
import { stateBytes } from "./softmax";

// The work area of a thread: scores [4][512] (f32 or i32), codes of weights [4][512] (u16 at most), tile scales [4][8],
// near scores, far tile addresses, list of value groups, sums i32 [4][headDim], states [4], unfolded tiles [8], 256 bytes.
export const CODES: usize = 4 * 512 * 4;
export const TILE_SCALES: usize = CODES + 4 * 512 * 2;
export const NEAR: usize = TILE_SCALES + 128;
export const TILES: usize = NEAR + NEAR_BYTES;
export const LIST: usize = TILES + 64;
export const SUMS: usize = LIST + 64;

/** Bytes of the work area `attention_range_int8` and `attention_peaks_int8` need. */
export function attention_work_bytes(headDim: i32): i32 {
  return <i32>(SUMS + (<usize>headDim << 4) + 4 * stateBytes(headDim) + (<usize>headDim << 9) + 256);
}
