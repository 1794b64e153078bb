// What a cache tells the kernels: u32 (f32 where said) at
//   0 table of key blocks          4 table of value blocks     8 table of far blocks, 0 for full attention
//  12 i32 [positions]: first key of the window of a query there
//  16 grain   20 table of `expand_table`   24 sink   28 f32 value cutoff   32 headDim   36 query heads per KV head
//  40 1: queries have 15 bits (keys on a grid in the raw basis)   44 table of merged spans, 0 when none are ever merged
//  48 u8 [layers · kvHeads][headDim]: references of the last key   52 the same after the pass that is computed now
// An address in the table of far blocks is odd when the block is folded.

// @ts-ignore: decorator
@inline
export function keyBlocks(parameters: usize): usize {
  return <usize>load<u32>(parameters);
}
// @ts-ignore: decorator
@inline
export function valueBlocks(parameters: usize): usize {
  return <usize>load<u32>(parameters, 4);
}
// @ts-ignore: decorator
@inline
export function farBlocks(parameters: usize): usize {
  return <usize>load<u32>(parameters, 8);
}
/** First key of the local window of a query at `position`; all before it are far. */
// @ts-ignore: decorator
@inline
export function windowStart(parameters: usize, position: i32): i32 {
  return load<i32>(<usize>load<u32>(parameters, 12) + (<usize>position << 2));
}
// @ts-ignore: decorator
@inline
export function grainOf(parameters: usize): i32 {
  return load<i32>(parameters, 16);
}
// @ts-ignore: decorator
@inline
export function expandTable(parameters: usize): usize {
  return <usize>load<u32>(parameters, 20);
}
// @ts-ignore: decorator
@inline
export function sinkOf(parameters: usize): i32 {
  return load<i32>(parameters, 24);
}
// @ts-ignore: decorator
@inline
export function cutoffOf(parameters: usize): f32 {
  return load<f32>(parameters, 28);
}
// @ts-ignore: decorator
@inline
export function headDimOf(parameters: usize): i32 {
  return load<i32>(parameters, 32);
}
// @ts-ignore: decorator
@inline
export function groupOf(parameters: usize): i32 {
  return load<i32>(parameters, 36);
}
// @ts-ignore: decorator
@inline
export function longQueries(parameters: usize): bool {
  return load<i32>(parameters, 40) != 0;
}
// @ts-ignore: decorator
@inline
export function mergedSpansTable(parameters: usize): usize {
  return <usize>load<u32>(parameters, 44);
}
/** Two buffers, exchanged when a pass is committed: one that fails has changed nothing. */
// @ts-ignore: decorator
@inline
export function lastReference(parameters: usize): usize {
  return <usize>load<u32>(parameters, 48);
}
// @ts-ignore: decorator
@inline
export function nextReference(parameters: usize): usize {
  return <usize>load<u32>(parameters, 52);
}
/** Offset of the keys of `index` (layer · kvHeads + KV head) in a block; delta attention keeps no scales with them. */
// @ts-ignore: decorator
@inline
export function keyPart(parameters: usize, index: i32): usize {
  const headDim = headDimOf(parameters);
  return <usize>index * <usize>(farBlocks(parameters) ? headDim : headDim + 4) << 6;
}
/** The same of its values, whose 64 scales follow the codes. */
// @ts-ignore: decorator
@inline
export function valuePart(parameters: usize, index: i32): usize {
  return <usize>index * <usize>(headDimOf(parameters) + 4) << 6;
}
