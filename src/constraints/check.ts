import { compileConstraint } from "./compile.js";
import type { ConstraintSpec, TokenBytes } from "./types.js";

/** A vocabulary of single bytes, in which every special token there might be has an id. */
const bytes: TokenBytes = {
  size: 258,
  bytes: (id) => (id < 256 ? Uint8Array.of(id) : undefined),
  specialId: () => 256,
  stopIds: [257],
};

/**
 * Looks at a constraint before there is a model.
 * @throws OptionError as `compileConstraint` does, but for special tokens that a model may not have
 */
export function checkConstraint(spec: ConstraintSpec): void {
  compileConstraint(bytes, spec);
}
