import type { ModelFile } from "../formats/model-file.js";
import { createPairMergeTokenizer, type ModelTokenizer } from "../tokenizer/tokenizer.js";
import type { ChatMessage, TemplateOptions, TokenIds, Tokenizer } from "../types.js";
import type { Endpoint } from "./endpoint.js";

/** The tokenizer on the page: made when first used, so that loading does not hold the page up. */
export class PageTokenizer implements Tokenizer {
  readonly #data: ModelFile["tokenizer"];
  readonly #endpoint: Endpoint;
  #made: ModelTokenizer | undefined;
  #disposed = false;

  constructor(data: ModelFile["tokenizer"], endpoint: Endpoint) {
    this.#data = data;
    this.#endpoint = endpoint;
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

  countTokens(text: string): number {
    return this.#live().countTokens(text);
  }

  /** At the other side: pages need not load the templates' engine. */
  applyTemplate(messages: readonly ChatMessage[], options: TemplateOptions = {}): Promise<string> {
    return this.#endpoint.call("tokenizer", "applyTemplate", [messages, options]);
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
