import { type Automaton, explore, intersect, TooLarge, withLength } from "../automaton.js";
import { regexAutomaton } from "../regex-automaton.js";
import { parseRegex } from "../regex-parser.js";
import { decimalOf } from "./decimal.js";

/** An end of a range. */
export interface Bound {
  readonly value: number;
  /** The value itself is outside. */
  readonly exclusive: boolean;
}

/** Numbers that are allowed. */
export interface NumberShape {
  readonly integer: boolean;
  /** Only numbers that are not whole. */
  readonly broken?: boolean;
  readonly low: Bound | undefined;
  readonly high: Bound | undefined;
  readonly multiples: readonly number[];
}

/**
 * Most digits of a number. Any two decimals of 15 digits are different as doubles, so a reader's rounding cannot carry a
 * number over a bound.
 */
export const mostDigits = 15;
const beyond = 10 ** mostDigits;

const cache = new Map<string, Automaton>();
const cacheSize = 256;

/**
 * The texts written for such numbers: without leading zeros, at most 15 digits, `-0` left out, with an exponent (of up to
 * two digits) only where there are neither bounds nor multiples and the number need not be whole.
 * @throws TooLarge
 */
export function numberAutomaton(shape: NumberShape): Automaton {
  const key = JSON.stringify(shape);
  let automaton = cache.get(key);
  if (!automaton) {
    automaton = make(shape);
    if (cache.size >= cacheSize) cache.clear();
    cache.set(key, automaton);
  }
  return automaton;
}

function make({ integer, broken, low, high, multiples }: NumberShape): Automaton {
  if (!broken && !low && !high && multiples.length === 0)
    return integer
      ? whole("0|-?[1-9][0-9]{0,14}")
      : whole("-?(0|[1-9][0-9]{0,14})(\\.[0-9]{1,15})?([eE][-+]?[0-9]{1,2})?");
  const positive = magnitudes(integer, low, high);
  const zero: Bound = { value: 0, exclusive: true };
  const minus = (bound: Bound | undefined) => bound && { value: -bound.value, exclusive: bound.exclusive };
  const least = high && high.value <= 0 && !(high.value === 0 && !high.exclusive) ? minus(high) : zero;
  const negative = magnitudes(integer, least, minus(low));
  let automaton = signed(positive, negative);
  if (broken) automaton = intersect(automaton, whole("-?[0-9]+\\.[0-9]*[1-9][0-9]*"));
  for (const multiple of multiples) automaton = intersect(automaton, multiplesOf(multiple, integer));
  return automaton;
}

function whole(source: string): Automaton {
  return regexAutomaton(parseRegex(source, "", "schema"), "whole");
}

/** Numbers ≥ 0 between two bounds, written without a sign. */
function magnitudes(integer: boolean, low: Bound | undefined, high: Bound | undefined): Automaton {
  const nothing: Automaton = { states: [] };
  if (high && (high.value < 0 || (high.value === 0 && high.exclusive))) return nothing;
  if (low && low.value >= beyond) return nothing;
  let automaton = withLength(
    whole(integer ? "0|[1-9][0-9]{0,14}" : "(0|[1-9][0-9]{0,14})(\\.[0-9]{1,15})?"),
    0,
    mostDigits + (integer ? 0 : 1),
  );
  if (low && (low.value > 0 || (low.value === 0 && low.exclusive))) automaton = intersect(automaton, whole(above(low)));
  if (high && high.value < beyond) automaton = intersect(automaton, whole(below(high)));
  return automaton;
}

/** Digits before and after the point. */
function digitsOf(value: number): [whole: string, fraction: string] {
  const { digits, scale } = decimalOf(value);
  const text = digits.toString().padStart(scale + 1, "0");
  return [text.slice(0, text.length - scale), text.slice(text.length - scale).replace(/0+$/, "")];
}

/** Expression for magnitudes above a bound ≥ 0. */
function above({ value, exclusive }: Bound): string {
  const [int, fraction] = digitsOf(value);
  const any = "(\\.[0-9]+)?";
  const options = [`[1-9][0-9]{${int.length},}${any}`];
  for (let i = 0; i < int.length; i++)
    if (int[i] !== "9") options.push(`${int.slice(0, i)}[${Number(int[i]) + 1}-9][0-9]{${int.length - i - 1}}${any}`);
  for (let i = 0; i < fraction.length; i++)
    if (fraction[i] !== "9") options.push(`${int}\\.${fraction.slice(0, i)}[${Number(fraction[i]) + 1}-9][0-9]*`);
  const point = fraction === "" ? "" : `\\.${fraction}`;
  const more = fraction === "" ? "\\." : "";
  if (exclusive) options.push(`${int}${point}${more}[0-9]*[1-9][0-9]*`);
  else options.push(fraction === "" ? `${int}${any}` : `${int}${point}[0-9]*`);
  return options.join("|");
}

/** Expression for magnitudes below a bound ≥ 0. */
function below({ value, exclusive }: Bound): string {
  const [int, fraction] = digitsOf(value);
  const any = "(\\.[0-9]+)?";
  const options = [];
  if (int.length > 1) options.push(`(0|[1-9][0-9]{0,${int.length - 2}})${any}`);
  for (let i = 0; i < int.length; i++) {
    const first = i === 0 && int.length > 1 ? 1 : 0;
    const digit = Number(int[i]);
    if (digit > first) options.push(`${int.slice(0, i)}[${first}-${digit - 1}][0-9]{${int.length - i - 1}}${any}`);
  }
  for (let i = 0; i < fraction.length; i++) {
    const digit = Number(fraction[i]);
    if (digit > 0) options.push(`${int}\\.${fraction.slice(0, i)}[0-${digit - 1}][0-9]*`);
    // Where the fraction ends early and the bound goes on, the number is smaller.
    options.push(i === 0 ? int : `${int}\\.${fraction.slice(0, i)}`);
  }
  if (!exclusive) options.push(fraction === "" ? `${int}(\\.0+)?` : `${int}\\.${fraction}0*`);
  return options.length ? options.join("|") : "[]";
}

/** What one automaton accepts, and what the other accepts after a minus. */
function signed(positive: Automaton, negative: Automaton): Automaton {
  type At = readonly [side: number, state: number];
  return explore<At>(
    [2, 0],
    ([side, state]) => `${side},${state}`,
    ([side, state]) => {
      const from = side === 1 ? negative : positive;
      const described = from.states[state] ?? { edges: [], accepts: false };
      const edges: [number, number, At][] = [];
      if (side === 2 && negative.states.length) edges.push([0x2d, 0x2d, [1, 0]]);
      const { edges: own } = described;
      for (let e = 0; e < own.length; e += 3) edges.push([own[e]!, own[e + 1]!, [side === 1 ? 1 : 0, own[e + 2]!]]);
      return { accepts: described.accepts, edges };
    },
  );
}

/** Texts of numbers that are multiples of `divisor`, with no more digits after the point than it has. */
function multiplesOf(divisor: number, integer: boolean): Automaton {
  const { digits, scale } = decimalOf(divisor);
  if (digits > 1_000_000n) throw new TooLarge();
  const modulus = Number(digits);
  const places = integer ? 0 : scale;
  // An integer is divided at the scale of the divisor: 3 is a multiple of 1.5 because 30 is one of 15.
  type At = readonly [phase: "start" | "sign" | "zero" | "whole" | "point" | "fraction", rest: number, places: number];
  const remainder = (rest: number, done: number) => Number((BigInt(rest) * 10n ** BigInt(scale - done)) % digits);
  return explore<At>(["start", 0, 0], String, ([phase, rest, done]) => {
    const edges: [number, number, At][] = [];
    const after: At[0] = phase === "point" || phase === "fraction" ? "fraction" : "whole";
    const count = after === "fraction" ? done + 1 : 0;
    if (phase === "start") edges.push([0x2d, 0x2d, ["sign", 0, 0]]);
    if (places > 0 && (phase === "whole" || phase === "zero")) edges.push([0x2e, 0x2e, ["point", rest, 0]]);
    if (phase !== "zero" && count <= places)
      for (let digit = 0; digit <= 9; digit++) {
        const leading = digit === 0 && (phase === "start" || phase === "sign");
        edges.push([0x30 + digit, 0x30 + digit, [leading ? "zero" : after, (rest * 10 + digit) % modulus, count]]);
      }
    const number = phase === "zero" || phase === "whole" || phase === "fraction";
    return { accepts: number && remainder(rest, done) === 0, edges };
  });
}
