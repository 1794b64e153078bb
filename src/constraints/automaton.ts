import { codePointsOf, complementRanges, type Ranges } from "./code-points.js";
import { limits } from "./limits.js";

/** Thrown while an automaton is made that would pass a limit; the caller knows what to blame. */
export class TooLarge extends Error {}

/** One state: transitions `[low, high, target, …]` by code point, sorted and disjoint, and whether a text may end here. */
export interface AutomatonState {
  readonly edges: readonly number[];
  readonly accepts: boolean;
}

/**
 * A deterministic automaton over code points that begins in state 0. Every state can reach an accepting one; the
 * automaton of no text at all has no states.
 */
export interface Automaton {
  readonly states: readonly AutomatonState[];
}

const classes = new Map<string, Automaton>();
const classesSize = 512;

/** One character of a class. */
export function classAutomaton(ranges: Ranges): Automaton {
  const key = ranges.join();
  let automaton = classes.get(key);
  if (!automaton) {
    const edges: number[] = [];
    for (let i = 0; i < ranges.length; i += 2) edges.push(ranges[i]!, ranges[i + 1]!, 1);
    const states = [
      { edges, accepts: false },
      { edges: [], accepts: true },
    ];
    automaton = { states: ranges.length ? states : [] };
    if (classes.size >= classesSize) classes.clear();
    classes.set(key, automaton);
  }
  return automaton;
}

/** Where an edge leads, −1 for nowhere. */
export function follow(state: AutomatonState, code: number): number {
  const { edges } = state;
  let low = 0;
  let high = edges.length / 3 - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (code < edges[middle * 3]!) high = middle - 1;
    else if (code > edges[middle * 3 + 1]!) low = middle + 1;
    else return edges[middle * 3 + 2]!;
  }
  return -1;
}

export function matches(automaton: Automaton, text: string): boolean {
  let at = automaton.states.length ? 0 : -1;
  for (const code of codePointsOf(text)) if (at >= 0) at = follow(automaton.states[at]!, code);
  return at >= 0 && automaton.states[at]!.accepts;
}

/**
 * Makes an automaton of states found one after another.
 * @param start the first state, whatever `key` and `expand` understand
 * @throws TooLarge
 */
export function explore<State>(
  start: State,
  key: (state: State) => string,
  expand: (state: State) => { accepts: boolean; edges: (readonly [low: number, high: number, target: State])[] },
): Automaton {
  const numbers = new Map<string, number>([[key(start), 0]]);
  const queue = [start];
  const states: AutomatonState[] = [];
  let work = 0;
  for (let i = 0; i < queue.length; i++) {
    const { accepts, edges } = expand(queue[i]!);
    const out: number[] = [];
    for (const [low, high, target] of edges) {
      const name = key(target);
      work += 1 + (name.length >> 4);
      let number = numbers.get(name);
      if (number === undefined) {
        number = queue.length;
        numbers.set(name, number);
        queue.push(target);
        if (number >= limits.automatonStates) throw new TooLarge();
      }
      const last = out.length - 3;
      if (last >= 0 && out[last + 2] === number && out[last + 1] === low - 1) out[last + 1] = high;
      else out.push(low, high, number);
    }
    if (work > limits.automatonWork) throw new TooLarge();
    states.push({ edges: out, accepts });
  }
  return trim(states);
}

/** Leaves out the states from which no text can be finished. */
function trim(states: readonly AutomatonState[]): Automaton {
  const sources: number[][] = states.map(() => []);
  states.forEach(({ edges }, from) => {
    for (let i = 2; i < edges.length; i += 3) sources[edges[i]!]!.push(from);
  });
  const useful = new Uint8Array(states.length);
  const queue = states.flatMap((state, i) => (state.accepts ? [i] : []));
  for (const state of queue) useful[state] = 1;
  for (let state = queue.pop(); state !== undefined; state = queue.pop())
    for (const from of sources[state]!)
      if (!useful[from]) {
        useful[from] = 1;
        queue.push(from);
      }
  if (!useful[0]) return { states: [] };
  const numbers = new Int32Array(states.length);
  let count = 0;
  for (let i = 0; i < states.length; i++) numbers[i] = useful[i] ? count++ : -1;
  const kept: AutomatonState[] = [];
  states.forEach(({ edges, accepts }, i) => {
    if (!useful[i]) return;
    const out: number[] = [];
    for (let e = 0; e < edges.length; e += 3)
      if (useful[edges[e + 2]!]) out.push(edges[e]!, edges[e + 1]!, numbers[edges[e + 2]!]!);
    kept.push({ edges: out, accepts });
  });
  return { states: kept };
}

/** Texts both accept. */
export function intersect(a: Automaton, b: Automaton): Automaton {
  if (!a.states.length || !b.states.length) return { states: [] };
  return explore<readonly [number, number]>(
    [0, 0],
    ([i, j]) => `${i},${j}`,
    ([i, j]) => {
      const left = a.states[i]!;
      const right = b.states[j]!;
      const edges: [number, number, readonly [number, number]][] = [];
      for (let x = 0, y = 0; x < left.edges.length && y < right.edges.length; ) {
        const low = Math.max(left.edges[x]!, right.edges[y]!);
        const high = Math.min(left.edges[x + 1]!, right.edges[y + 1]!);
        if (low <= high) edges.push([low, high, [left.edges[x + 2]!, right.edges[y + 2]!]]);
        if (left.edges[x + 1]! < right.edges[y + 1]!) x += 3;
        else y += 3;
      }
      return { accepts: left.accepts && right.accepts, edges };
    },
  );
}

/** Texts that `a` does not accept. */
export function complement(a: Automaton): Automaton {
  return explore<number>(a.states.length ? 0 : -1, String, (i) => {
    const state = i < 0 ? { edges: [], accepts: false } : a.states[i]!;
    const edges: [number, number, number][] = [];
    const covered: number[] = [];
    for (let e = 0; e < state.edges.length; e += 3) {
      edges.push([state.edges[e]!, state.edges[e + 1]!, state.edges[e + 2]!]);
      covered.push(state.edges[e]!, state.edges[e + 1]!);
    }
    const rest = complementRanges(covered);
    for (let r = 0; r < rest.length; r += 2) edges.push([rest[r]!, rest[r + 1]!, -1]);
    edges.sort((x, y) => x[0] - y[0]);
    return { accepts: !state.accepts, edges };
  });
}

/** Texts of `a` with at least `min` and at most `max` code points. */
export function withLength(a: Automaton, min: number, max: number): Automaton {
  if (!a.states.length || (min === 0 && max === Number.POSITIVE_INFINITY)) return a;
  const most = Number.isFinite(max) ? max : min;
  return explore<readonly [number, number]>(
    [0, 0],
    ([state, count]) => `${state},${count}`,
    ([state, count]) => {
      const { edges, accepts } = a.states[state]!;
      const out: [number, number, readonly [number, number]][] = [];
      if (count < max)
        for (let e = 0; e < edges.length; e += 3)
          out.push([edges[e]!, edges[e + 1]!, [edges[e + 2]!, Math.min(count + 1, most)]]);
      return { accepts: accepts && count >= min, edges: out };
    },
  );
}

/** Exactly these texts. */
export function literals(texts: readonly string[]): Automaton {
  interface Branch {
    id: number;
    end: boolean;
    children: Map<number, Branch>;
  }
  let count = 0;
  const branch = (): Branch => ({ id: count++, end: false, children: new Map() });
  const root = branch();
  for (const text of texts) {
    let at = root;
    for (const code of codePointsOf(text)) {
      let child = at.children.get(code);
      if (!child) {
        child = branch();
        at.children.set(code, child);
      }
      at = child;
    }
    at.end = true;
  }
  return explore<Branch>(
    root,
    ({ id }) => String(id),
    ({ end, children }) => ({
      accepts: end,
      edges: [...children].sort(([a], [b]) => a - b).map(([code, child]) => [code, code, child] as const),
    }),
  );
}
