import type { Automaton } from "../automaton.js";
import type { Conjunct } from "./document.js";
import type { NumberShape } from "./numbers.js";
import type { StringShape } from "./strings.js";

/** Values that are allowed, by their kind; a kind that is absent is not allowed. */
export interface Shape {
  /** Single values, in their order: null, true, false, and those of `enum` and `const`. */
  readonly values: readonly unknown[];
  readonly number?: NumberShape | undefined;
  readonly string?: StringShape | undefined;
  readonly array?: ArrayShape | undefined;
  readonly object?: ObjectShape | undefined;
}

/** Every list of schemas has to be fitted as a whole. */
export interface ArrayShape {
  readonly prefix: readonly (readonly Conjunct[])[];
  readonly rest: readonly Conjunct[];
  readonly min: number;
  /** What is allowed, and what is written: no further items after a prefix, unless the schema speaks of them. */
  readonly max: number;
  readonly written: number;
  readonly unique: boolean;
}

export interface ObjectShape {
  /** In the order in which they are written. */
  readonly properties: ReadonlyMap<string, PropertyShape>;
  readonly others: readonly OtherProperties[];
  readonly min: number;
  readonly max: number;
}

export interface PropertyShape {
  readonly schemas: readonly Conjunct[];
  readonly required: boolean;
}

/** Properties that are not listed. */
export interface OtherProperties {
  /** Their names. */
  readonly names: Automaton;
  readonly schemas: readonly Conjunct[];
  /** Allowed only because the schema says nothing against them: they are not written. */
  readonly silent: boolean;
}

/** Whether it is certain that no value fits all of these schemas. */
export type IsEmpty = (schemas: readonly Conjunct[]) => boolean;
