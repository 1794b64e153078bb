/**
 * Control tokens that end a turn or a text in every vocabulary that has them (llama.cpp src/llama-vocab.cpp). Files
 * often name only one: BitNet-2B-4T ends turns with `<|eot_id|>`, its metadata says `<|end_of_text|>`.
 */
const endTexts: ReadonlySet<string> = new Set([
  "<|eot_id|>",
  "<|eom_id|>",
  "<|end_of_text|>",
  "<|endoftext|>",
  "<|im_end|>",
  "<|end|>",
  "<end_of_turn>",
]);

/** Ids of the control tokens that end a turn or a text. */
export function endTokens(tokens: readonly string[], isControl: (id: number) => boolean): number[] {
  const ids: number[] = [];
  for (let id = 0; id < tokens.length; id++) {
    if (endTexts.has(tokens[id] as string) && isControl(id)) ids.push(id);
  }
  return ids;
}
