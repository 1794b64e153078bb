import { QueryRows } from "../abi";
import { attention_range_int8 } from "./int8";
import { RANGE } from "./layout";
import { attention_queries_int8 } from "./queries";
import { attention_finish } from "./softmax";

/**
 * Attention of one token's queries over all keys from `start` on, `heads` KV heads one after the other: what
 * `attention_queries_int8`, `attention_range_int8` and `attention_finish` do one by one, for full int8 caches without a value
 * cutoff.
 * @param out, queries f32 [heads][group][headDim]
 * @param rows of the first head; its slot and counters move on, these by `counters` bytes
 * @param states room of one head's rows
 */
export function attention_token_int8(
  out: usize, queries: usize, rows: QueryRows, states: usize, start: i32, heads: i32, counters: usize,
): void {
  const headDim = rows.cache.headDim;
  const group = rows.group;
  const bytes = <usize>(group * headDim) << 2;
  for (let head = 0; head < heads; head++, out += bytes, queries += bytes) {
    attention_queries_int8(rows.queries, queries, 0, group, group, headDim, 0);
    for (let key = start; key <= rows.position; key += RANGE) attention_range_int8(states, rows, key, i32(key == start));
    attention_finish(out, 0, states, group, group, headDim);
    rows.slot += 1;
    rows.counters += counters;
  }
}
