import { UnsupportedError } from "../errors.js";
import type { CodePoints, Node } from "./pattern-parser.js";

/** Instructions of a pattern: counted repetitions are written out. */
const MOST_INSTRUCTIONS = 20_000;
/** One of a set of code points; try `x`, then `y`; go to `x`; look around; a place in the text; the end. */
export type Instruction =
  | { op: "set"; set: CodePoints }
  | { op: "split"; x: number; y: number; memo: number }
  | { op: "jump"; x: number }
  | { op: "look"; program: Program; wanted: boolean; behind: boolean }
  | { op: "at"; place: "^" | "$" | "b" | "B" }
  | { op: "end" };
export type Program = { code: Instruction[]; splits: number };

/** Writes a tree as instructions; for look-behind it is read from its end. */
export function compile(root: Node, source: string, backwards = false): Program {
  const code: Instruction[] = [];
  let splits = 0;
  const emit = (instruction: Instruction) => {
    if (code.length >= MOST_INSTRUCTIONS)
      throw new UnsupportedError(`The pre-tokenizer pattern is too long: ${source.slice(0, 200)}`, {
        key: "pre_tokenizer",
      });
    return code.push(instruction) - 1;
  };
  const split = () => emit({ op: "split", x: 0, y: 0, memo: splits++ });
  const aim = (at: number, x: number, y: number, lazy = false) => {
    Object.assign(code[at] as Instruction, lazy ? { x: y, y: x } : { x, y });
  };
  const write = (node: Node): void => {
    switch (node.type) {
      case "set":
        emit({ op: "set", set: node.set });
        break;
      case "at":
        emit({ op: "at", place: node.place });
        break;
      case "look": {
        const { wanted, behind } = node;
        emit({ op: "look", program: compile(node.part, source, behind), wanted, behind });
        break;
      }
      case "sequence":
        for (const part of backwards ? [...node.parts].reverse() : node.parts) write(part);
        break;
      case "choice": {
        const ends: number[] = [];
        const others = [...node.parts];
        const last = others.pop() as Node;
        for (const part of others) {
          const at = split();
          write(part);
          ends.push(emit({ op: "jump", x: 0 }));
          aim(at, at + 1, code.length);
        }
        write(last);
        for (const end of ends) Object.assign(code[end] as Instruction, { x: code.length });
        break;
      }
      case "repeat": {
        const { part, least, most, lazy } = node;
        for (let i = 0; i < least; i++) write(part);
        if (most === Number.POSITIVE_INFINITY) {
          const at = split();
          write(part);
          emit({ op: "jump", x: at });
          aim(at, at + 1, code.length, lazy);
        } else {
          const open: number[] = [];
          for (let i = least; i < most; i++) {
            open.push(split());
            write(part);
          }
          for (const at of open) aim(at, at + 1, code.length, lazy);
        }
        break;
      }
    }
  };
  write(root);
  emit({ op: "end" });
  return { code, splits };
}
