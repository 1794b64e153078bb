import { type Automaton, intersect, TooLarge, withLength } from "../automaton.js";
import { allCodePoints } from "../code-points.js";
import { regexAutomaton } from "../regex-automaton.js";
import { parseRegex } from "../regex-parser.js";
import { refuse } from "./document.js";
import { formatAutomaton, formatNames } from "./formats.js";

/** Strings that are allowed. */
export interface StringShape {
  /** In code points. */
  readonly min: number;
  readonly max: number;
  /** All of them accept the string. */
  readonly automata: readonly Automaton[];
}

/** Every string. */
export const anyString: Automaton = {
  states: [
    { edges: [allCodePoints[0]!, allCodePoints[1]!, 0, allCodePoints[2]!, allCodePoints[3]!, 0], accepts: true },
  ],
};

const patterns = new Map<string, Automaton>();
const patternsSize = 256;

/** The automaton of a `pattern`, which may match any part of a string. */
export function patternOf(pattern: string, pointer: string): Automaton {
  let automaton = patterns.get(pattern);
  if (!automaton) {
    const key = `schema#${pointer}`;
    const regex = parseRegex(pattern, "u", key);
    automaton = sized(pointer, () => regexAutomaton(regex, "part"));
    if (patterns.size >= patternsSize) patterns.clear();
    patterns.set(pattern, automaton);
  }
  return automaton;
}

export function formatOf(format: string, pointer: string): Automaton {
  const automaton = formatAutomaton(format);
  if (!automaton)
    throw refuse(
      `The format "${format}" is not supported`,
      pointer,
      `Supported are ${formatNames.join(", ")}; others can be written as a pattern`,
    );
  return automaton;
}

/** One automaton for all that is asked of a string. */
export function stringAutomaton({ min, max, automata }: StringShape, pointer: string): Automaton {
  return sized(pointer, () => withLength(automata.reduce(intersect, anyString), min, max));
}

/** Runs what makes an automaton; one that grows too large is the schema's fault. */
export function sized<Result>(pointer: string, run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof TooLarge)) throw error;
    throw refuse(
      "This needs an automaton of too many states",
      pointer,
      "Use smaller lengths, repetitions or multiples",
    );
  }
}
