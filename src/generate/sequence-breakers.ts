import type { ModelTokenizer } from "../tokenizer/tokenizer.js";

const known = new WeakMap<ModelTokenizer, Map<string, Uint32Array>>();

/** The tokens with one of these texts in them, as a bitset over the vocabulary. Remembered: it looks at every token. */
export function sequenceBreakers(tokenizer: ModelTokenizer, vocab: number, texts: readonly string[]): Uint32Array {
  const key = JSON.stringify(texts);
  const ofTokenizer = known.get(tokenizer) ?? new Map<string, Uint32Array>();
  known.set(tokenizer, ofTokenizer);
  let breakers = ofTokenizer.get(key);
  if (!breakers) {
    breakers = new Uint32Array(Math.ceil(vocab / 32));
    for (let id = 0; id < Math.min(vocab, tokenizer.vocabularySize); id++) {
      const token = tokenizer.tokenText(id);
      if (texts.some((text) => token.includes(text))) breakers[id >>> 5]! |= 1 << (id & 31);
    }
    ofTokenizer.set(key, breakers);
  }
  return breakers;
}
