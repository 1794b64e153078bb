import { InvalidArgumentError } from "commander";
import { type ModelFlags, number, whole } from "./options.js";

/** Flags of one point of a sweep, on top of those of the command. */
export type SweepPoint = Partial<ModelFlags>;

/** What can be varied, and how a value is read. */
const axes = {
  grain: ["grain", oneOf("element", "chunk", "row")],
  basis: ["basis", oneOf("raw", "score")],
  sparsity: ["sparsity", number],
  threshold: ["threshold", number],
  "window-scale": ["windowScale", number],
  window: ["window", whole(0)],
  "window-shape": ["windowShape", oneOf("sliding", "block")],
  sink: ["sink", whole(0)],
  "value-cutoff": ["valueCutoff", number],
} as const satisfies Record<string, readonly [keyof ModelFlags, (text: string) => unknown]>;

/** The values of each axis, in the order given. */
export type Sweep = ReadonlyMap<keyof typeof axes, readonly string[]>;

/** A parser for `grain=element,chunk`; the option may be given several times. */
export function parseAxis(text: string, earlier: Sweep = new Map()): Sweep {
  const [name, list] = text.split("=", 2) as [keyof typeof axes, string | undefined];
  if (!Object.hasOwn(axes, name))
    throw new InvalidArgumentError(`"${name}" is none of ${Object.keys(axes).join(", ")}.`);
  const values = (list ?? "").split(",").map((value) => value.trim());
  for (const value of values) axes[name][1](value);
  return new Map([...earlier, [name, values]]);
}

/** All combinations, the last axis fastest. Every point has delta attention. */
export function sweepPoints(sweep: Sweep): { name: string; flags: SweepPoint }[] {
  let points: { name: string; flags: SweepPoint }[] = [{ name: "", flags: { attention: "delta" } }];
  for (const [axis, values] of sweep) {
    const [flag, parse] = axes[axis];
    points = points.flatMap(({ name, flags }) =>
      values.map((value) => ({
        name: `${name}${name && " "}${axis}=${value}`,
        flags: { ...flags, [flag]: parse(value) },
      })),
    );
  }
  return points;
}

function oneOf(...choices: string[]): (text: string) => string {
  return (text) => {
    if (!choices.includes(text)) throw new InvalidArgumentError(`"${text}" is none of ${choices.join(", ")}.`);
    return text;
  };
}
