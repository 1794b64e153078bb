/**
 * How much a schema, expression or grammar may ask for. They come from outside, so each stage stops at a limit with an
 * OptionError instead of taking memory or time without end.
 */
export const limits = {
  /** Characters of a grammar or expression. */
  sourceLength: 1_000_000,
  /** Parentheses, groups, schemas inside each other. */
  depth: 200,
  /** States of the nondeterministic automaton of one expression. */
  expressionStates: 50_000,
  /** States of the deterministic automaton of one expression. */
  automatonStates: 20_000,
  /** Steps while an automaton is made. */
  automatonWork: 20_000_000,
  /** Alternatives that the combinators of one schema may multiply to. */
  alternatives: 512,
  /** Schemas made by merging others. */
  schemas: 20_000,
  /** Properties of one object. */
  properties: 1000,
  /** Values of which arrays without equal items are made. */
  uniqueValues: 8,
  /** Readings of the same text that are followed at the same time. */
  readings: 4096,
  /** Nodes kept before what was computed is forgotten. */
  nodes: 200_000,
  /** Bytes of masks kept before they are forgotten. */
  maskBytes: 64 << 20,
} as const;
