import { OptionError } from "../errors.js";
import type { ChatMessage } from "../types/messages.js";
import { checkMessages } from "./prompt.js";
import type { TemplateTokenizer } from "./template.js";

type Tools = Parameters<TemplateTokenizer["applyTemplate"]>[1];

/**
 * The messages of a chat and the tokens the model has seen or written of them. Text that the model wrote keeps its tokens:
 * encoded anew it might be cut in another way.
 */
export class Conversation {
  messages: ChatMessage[] = [];
  /** How many messages after the system prompt the model does not see any more. */
  dropped = 0;
  /** The beginning of the rendered conversation whose tokens are known; no end of turn after an answer. */
  text = "";
  tokens: number[] = [];
  /** Places in that text where it can be cut, with the tokens before them: where prompts and answers end. */
  cuts: [characters: number, tokens: number][] = [];

  /** The system prompt, where there is one, is the first message. */
  get system(): ChatMessage | undefined {
    return this.messages[0]?.role === "system" ? this.messages[0] : undefined;
  }

  setSystem(system: string | undefined): void {
    const rest = this.system ? this.messages.slice(1) : this.messages;
    this.messages = system === undefined ? rest : [{ role: "system", content: system }, ...rest];
    checkMessages(this.messages);
  }

  /** Replaces a message's text; what follows it is forgotten, unless it is the system prompt. */
  edit(index: number, content: string): void {
    const at = index < 0 ? this.messages.length + index : index;
    const message = this.messages[at];
    if (!Number.isInteger(index) || !message)
      throw new OptionError(
        `There is no message ${String(index)}`,
        { key: "index" },
        `The chat has ${this.messages.length} messages`,
      );
    checkMessages([{ role: message.role, content }]);
    const edited: ChatMessage = { role: message.role, content };
    if (message.name !== undefined) edited.name = message.name;
    const following = message === this.system ? this.messages.slice(at + 1) : [];
    this.messages = [...this.messages.slice(0, at), edited, ...following];
    this.dropped = Math.min(this.dropped, this.#turns().length);
    // A message that had been dropped is the newest one now.
    const start = this.#turns().findLastIndex(({ role }) => role === "user");
    if (start >= 0 && this.dropped > start) this.dropped = start;
  }

  /** Messages the model sees, with `more` at the end. */
  seen(more: readonly ChatMessage[] = []): ChatMessage[] {
    const turns = [...this.#turns(), ...more].slice(this.dropped);
    return this.system ? [this.system, ...turns] : turns;
  }

  /** Drops the oldest turn, unless only the newest one is left. Returns how many messages that were. */
  dropTurn(messages: readonly ChatMessage[]): number {
    const turns = messages.filter((message) => message !== this.system);
    const next = turns.findIndex(({ role }, i) => i > 0 && role === "user");
    if (next < 0) return 0;
    this.dropped += next;
    return next;
  }

  /** The conversation with the beginning of an answer, as text and tokens. */
  async render(
    tokenizer: TemplateTokenizer,
    messages: readonly ChatMessage[],
    tools: NonNullable<Tools>["tools"],
    begun = "",
  ): Promise<{ text: string; tokens: number[] }> {
    const rendered = await tokenizer.applyTemplate(messages, { tools });
    const text = rendered + begun;
    const [characters, count] = this.#known(text);
    const tokens = this.tokens.slice(0, count);
    const append = (part: string, special: boolean) => {
      for (const id of part ? tokenizer.encode(part, { special }) : []) tokens.push(id);
    };
    append(rendered.slice(characters), true);
    append(begun.slice(Math.max(0, characters - rendered.length)), false);
    return { text, tokens };
  }

  /** Remembers what was rendered and, unless its text is not what its tokens say, what was answered. */
  remember(prompt: { text: string; tokens: number[] }, answer?: { text: string; tokens: readonly number[] }): void {
    const [characters, count] = this.#known(prompt.text);
    this.cuts = this.cuts.filter(([at, tokens]) => at <= characters && tokens <= count);
    this.text = prompt.text;
    this.tokens = prompt.tokens;
    this.cuts.push([this.text.length, this.tokens.length]);
    if (!answer || answer.tokens.length === 0) return;
    this.text += answer.text;
    this.tokens = [...this.tokens, ...answer.tokens];
    this.cuts.push([this.text.length, this.tokens.length]);
  }

  copy(): Conversation {
    const copy = new Conversation();
    copy.messages = structuredClone(this.messages);
    copy.dropped = this.dropped;
    copy.text = this.text;
    copy.tokens = [...this.tokens];
    copy.cuts = [...this.cuts];
    return copy;
  }

  /** The last cut before which `text` is what it was. */
  #known(text: string): [characters: number, tokens: number] {
    return this.cuts.findLast(([at]) => text.startsWith(this.text.slice(0, at))) ?? [0, 0];
  }

  #turns(): ChatMessage[] {
    return this.system ? this.messages.slice(1) : this.messages;
  }
}
