/** Most tokens proposed at once. */
const MOST_PROPOSED = 7;
/** Tokens that must have occurred before in the same order for what followed them to be proposed. */
const PATTERN = 3;
/** Share of the time that proposals may cost when they turn out wrong; by default, and where speculation is asked for. */
const ALLOWANCE = { auto: 0.012, asked: 0.1 };
/** Passes that may be lost at the start where it is asked for. */
const ADVANCE = 4;
/** What one more row of a pass is taken to cost before any such pass was timed, as a share of a pass of one row. Cautious. */
const UNKNOWN_COST = 0.8;

/** How long passes of some rows take on this model and machine, in milliseconds. Shared by all generations of a model. */
export class PassTimes {
  /** Tokens that were proposed, and those of them that were right. */
  proposed = 0;
  accepted = 0;
  /** Of passes with the whole head, and of those that begin with a part of it. */
  readonly #whole = new Map<number, number>();
  readonly #part = new Map<number, number>();

  /** Starts the counts anew; what passes take is not forgotten. */
  reset(): void {
    this.proposed = this.accepted = 0;
  }

  /**
   * Books a pass. Newer ones count more.
   * @param part whether only a part of the head was multiplied for its first row, as under a mask that leaves few tokens
   */
  add(rows: number, ms: number, part = false): void {
    const times = part ? this.#part : this.#whole;
    const known = times.get(rows);
    times.set(rows, known === undefined ? ms : known + (ms - known) / 8);
  }

  /** What a pass of `rows` rows will take; that of the next larger number timed where this one was not. */
  get(rows: number, part = false): number | undefined {
    const times = part && this.#part.has(1) ? this.#part : this.#whole;
    for (let larger = rows; larger <= MOST_PROPOSED + 1; larger++) {
      const ms = times.get(larger);
      if (ms !== undefined) return ms;
    }
    return undefined;
  }
}

/**
 * Proposes how a text may go on: as it did after the same tokens before. What is proposed is verified by the model in one
 * pass and changes no result, only how many passes there are. Proposes only what it can afford to be wrong about: wrong
 * proposals may cost a small share of the time, right ones earn more.
 */
export class Speculator {
  readonly #times: PassTimes;
  readonly #allowance: number;
  /** Milliseconds that may be lost. */
  #credit: number | undefined;
  /** Where the newest occurrence of a pattern ends. */
  readonly #ends = new Map<string, number>();
  #indexed = PATTERN;

  /** @param asked the user wants it, rather than it being on by default */
  constructor(times: PassTimes, asked: boolean) {
    this.#times = times;
    this.#allowance = asked ? ALLOWANCE.asked : ALLOWANCE.auto;
    if (!asked) this.#credit = 0;
  }

  /**
   * Tokens that may follow `history`, at most `room`.
   * @param forced tokens that a constraint leaves no choice about
   * @param part whether the next token needs only a part of the head
   */
  propose(history: readonly number[], room: number, forced: readonly number[], part = false): number[] {
    const single = this.#times.get(1, part);
    if (single === undefined) return [];
    this.#credit ??= single * ADVANCE;
    let draft = forced.length > 0 ? [...forced] : this.#lookUp(history);
    draft = draft.slice(0, Math.min(MOST_PROPOSED, room));
    while (draft.length > 0 && this.#cost(draft.length + 1, single, part) > this.#credit) draft.pop();
    return draft;
  }

  /**
   * Tells how a pass went.
   * @param tokens how many it brought; one, and more where proposals were right
   */
  book(rows: number, tokens: number, ms: number, part = false): void {
    this.#times.add(rows, ms, part);
    this.#times.proposed += rows - 1;
    this.#times.accepted += tokens - 1;
    const single = this.#times.get(1, part);
    if (this.#credit === undefined || single === undefined) return;
    this.#credit += ms * this.#allowance;
    if (rows > 1) this.#credit += tokens * single - ms;
    // What was earned long ago is no reason to go on losing.
    this.#credit = Math.min(this.#credit, single * ADVANCE * 4);
  }

  /** What a pass of so many rows costs more than one of a single row. */
  #cost(rows: number, single: number, part: boolean): number {
    const known = this.#times.get(rows, part);
    return known === undefined ? single * UNKNOWN_COST * (rows - 1) : Math.max(0, known - single);
  }

  #lookUp(history: readonly number[]): number[] {
    const key = (end: number) => `${history[end - 3]},${history[end - 2]},${history[end - 1]}`;
    // The newest pattern itself is left out: it would only find itself.
    for (; this.#indexed < history.length; this.#indexed++) this.#ends.set(key(this.#indexed), this.#indexed);
    if (history.length < PATTERN) return [];
    const end = this.#ends.get(key(history.length));
    return end === undefined ? [] : history.slice(end, end + MOST_PROPOSED);
  }
}

/** What a generation needs to speculate; undefined when it shall not, or cannot. */
export function createSpeculator(
  { speculation }: { speculation: PassTimes | undefined },
  wanted: boolean | "auto" | undefined,
): Speculator | undefined {
  if (!speculation || !wanted) return undefined;
  return new Speculator(speculation, wanted === true);
}
