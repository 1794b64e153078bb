import type { TokenIds } from "../types.js";
import type { Sampled } from "./sampler.js";
import type { AdvanceOptions, EngineSession } from "./session.js";

/** How tokens are chosen from logits. */
export interface Choosing {
  vocab: number;
  choose: (logits: number) => Sampled;
  /** Whether nothing can follow a choice, the n-th of this pass. */
  isLast: (choice: Sampled, n: number) => boolean;
}

/**
 * Appends `next` and chooses a token. Where the token is the one proposed after it, its logits are there already: chooses
 * the next one from them, and so on. The session then holds `next` and the proposals that were right, nothing else.
 * @param draft what may follow `next`; changes nothing about what is chosen
 */
export async function choosePass(
  session: EngineSession,
  next: TokenIds,
  draft: readonly number[],
  options: AdvanceOptions,
  { vocab, choose, isLast }: Choosing,
): Promise<Sampled[]> {
  if (draft.length === 0) return [await session.advance(next, options, choose)];
  const choices: Sampled[] = [];
  const before = session.length;
  let going = true;
  try {
    await session.verify([...Array.from(next), ...draft], options, (logits, tokens, done) => {
      for (let row = 0; row < tokens && going; row++) {
        const choice = choose(logits + row * vocab * 4);
        choices.push(choice);
        going = choice.id === draft[done + row] && !isLast(choice, choices.length);
      }
    });
  } finally {
    session.takeBack(before + choices.length);
  }
  return choices;
}
