import type { ModelFile } from "../formats/model-file.js";
import { createPairMergeTokenizer, type ModelTokenizer } from "../tokenizer/tokenizer.js";
import type { TokenIds, Tokenizer } from "../types.js";

/** The tokenizer on the page: made when first used, so that loading does not hold the page up. */
export class PageTokenizer implements Tokenizer {
  readonly #data: ModelFile["tokenizer"];
  #made: ModelTokenizer | undefined;
  #disposed = false;

  constructor(data: ModelFile["tokenizer"]) {
    this.#data = data;
  }

  get addBos(): boolean {
    return this.#live().addBos;
  }

  encode(text: string, options?: { special?: boolean; addBos?: boolean }): Uint32Array {
    return this.#live().encode(text, options);
  }

  decode(ids: TokenIds): string {
    return this.#live().decode(ids);
  }

  dispose(): void {
    this.#disposed = true;
    this.#made?.dispose();
  }

  #live(): ModelTokenizer {
    if (!this.#made) {
      this.#made = createPairMergeTokenizer(this.#data);
      if (this.#disposed) this.#made.dispose();
    }
    return this.#made;
  }
}
