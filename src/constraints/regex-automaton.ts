import { type Automaton, explore, TooLarge } from "./automaton.js";
import { allCodePoints, type Ranges } from "./code-points.js";
import { limits } from "./limits.js";
import { characterClass, type Regex, repeat, sequence } from "./regex.js";

/** One state of the nondeterministic automaton: a class that leads on, or free edges, perhaps bound to an end of the text. */
interface Step {
  ranges?: Ranges;
  condition?: "start" | "end";
  to: number[];
}

/** What an expression may match: the whole text, or any part of it. */
export type Anchoring = "whole" | "part";

/**
 * The automaton of an expression. `whole`: the expression has to match all of a text. `part`: it may match anywhere in it,
 * as a JSON Schema's `pattern` does.
 * @throws TooLarge
 */
export function regexAutomaton(regex: Regex, anchoring: Anchoring): Automaton {
  const anything = repeat(characterClass(allCodePoints), 0, Number.POSITIVE_INFINITY);
  const steps: Step[] = [];
  const end = push(steps, { to: [] });
  const first = build(steps, anchoring === "part" ? sequence(anything, regex, anything) : regex, end);
  return determine(steps, first, end);
}

function push(steps: Step[], step: Step): number {
  if (steps.length >= limits.expressionStates) throw new TooLarge();
  return steps.push(step) - 1;
}

/** Adds the steps of an expression that goes on at `next`; returns the first. */
function build(steps: Step[], regex: Regex, next: number): number {
  switch (regex.kind) {
    case "class":
      return push(steps, { ranges: regex.ranges, to: [next] });
    case "start":
    case "end":
      return push(steps, { condition: regex.kind, to: [next] });
    case "sequence": {
      let at = next;
      for (let i = regex.items.length - 1; i >= 0; i--) at = build(steps, regex.items[i]!, at);
      return at;
    }
    case "choice":
      return push(steps, { to: regex.items.map((item) => build(steps, item, next)) });
    case "repeat": {
      const { item, min, max } = regex;
      let at = next;
      if (max === Number.POSITIVE_INFINITY) {
        const loop: Step = { to: [next] };
        at = push(steps, loop);
        loop.to.push(build(steps, item, at));
      } else for (let i = min; i < max; i++) at = push(steps, { to: [next, build(steps, item, at)] });
      for (let i = 0; i < min; i++) at = build(steps, item, at);
      return at;
    }
  }
}

function determine(steps: readonly Step[], first: number, end: number): Automaton {
  let work = 0;
  /** What is reached without a character; `start` and `end` say whether the text begins or ends here. */
  const closure = (from: readonly number[], start: boolean, atEnd: boolean): number[] => {
    const seen = new Set(from);
    for (const at of seen) {
      const step = steps[at]!;
      if (step.ranges || (step.condition === "start" && !start) || (step.condition === "end" && !atEnd)) continue;
      for (const to of step.to) seen.add(to);
    }
    work += seen.size;
    if (work > limits.automatonWork) throw new TooLarge();
    return [...seen].filter((at) => at === end || steps[at]!.ranges || steps[at]!.condition).sort((a, b) => a - b);
  };
  interface Subset {
    members: number[];
    start: boolean;
  }
  return explore<Subset>(
    { members: closure([first], true, false), start: true },
    ({ members, start }) => (start ? `^${members.join()}` : members.join()),
    ({ members, start }) => {
      const parts: [low: number, high: number, to: number][] = [];
      for (const at of members) {
        const { ranges, to } = steps[at]!;
        if (ranges) for (let i = 0; i < ranges.length; i += 2) parts.push([ranges[i]!, ranges[i + 1]!, to[0]!]);
      }
      const edges = splitRanges(parts).map(
        ([low, high, to]) => [low, high, { members: closure(to, false, false), start: false }] as const,
      );
      return { accepts: closure(members, start, true).includes(end), edges };
    },
  );
}

/** Cuts overlapping ranges into disjoint ones, each with everything that holds there. */
function splitRanges(parts: [low: number, high: number, to: number][]): [low: number, high: number, to: number[]][] {
  const events = parts
    .flatMap(([low, high, to]) => [[low, 1, to] as const, [high + 1, -1, to] as const])
    .sort((a, b) => a[0] - b[0]);
  const open = new Map<number, number>();
  const out: [number, number, number[]][] = [];
  let from = 0;
  for (const [at, change, to] of events) {
    if (at > from && open.size) {
      const targets = [...open.keys()].sort((a, b) => a - b);
      const last = out[out.length - 1];
      if (last && last[1] === from - 1 && last[2].join() === targets.join()) last[1] = at - 1;
      else out.push([from, at - 1, targets]);
    }
    from = at;
    const count = (open.get(to) ?? 0) + change;
    if (count) open.set(to, count);
    else open.delete(to);
  }
  return out;
}
