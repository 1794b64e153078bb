import { quantiseActivations } from "../matmul/activations.js";
import { layoutOf } from "../matmul/layouts/index.js";
import type { ActivationKind } from "../matmul/layouts/layout.js";
import type { Weight } from "../matmul/weight.js";
import { share, type Thread } from "../threads/thread.js";
import type { Buffers } from "./plan.js";

/** Where a product goes, its matrix, and the address of the bias added to it. */
export type Output = readonly [out: number, weight: Weight, bias?: number];

/** Quantises the rows `span` of x, once for all the products that want it alike. */
export function quantiseInputs(
  thread: Thread,
  { activations }: Buffers,
  x: number,
  outputs: readonly Output[],
  span: readonly [start: number, end: number],
): void {
  const { columns } = (outputs[0] as Output)[1];
  let done: ActivationKind | undefined;
  // Without iterators and destructuring, whose garbage would be a third of what a token makes.
  for (let i = 0; i < outputs.length; i++) {
    const kind = layoutOf((outputs[i] as Output)[1].layout).activations;
    if (kind !== "f32" && kind !== done) quantiseActivations(thread, kind, activations[kind], x, columns, span);
    done = kind;
  }
}

/** What a product with x reads: x itself, or what `quantiseInputs` made of it. */
export function inputOf({ layout }: Weight, x: number, { activations }: Buffers): number {
  const kind = layoutOf(layout).activations;
  return kind === "f32" ? x : activations[kind];
}

/** Adds the bias of a product, to the rows `span` of its result; of a lone row, to the columns this thread has computed. */
export function addBias(
  thread: Thread,
  output: Output,
  span: readonly [start: number, end: number],
  lone: boolean,
): void {
  const { 0: out, 1: weight, 2: bias } = output;
  if (!bias) return;
  const { rows } = weight;
  if (!lone) {
    thread.kernels.add_bias(out + span[0] * rows * 4, bias, span[1] - span[0], rows);
    return;
  }
  const [start, end] = share(thread, rows, layoutOf(weight.layout).rowUnit);
  thread.kernels.add_bias(out + start * 4, bias + start * 4, 1, end - start);
}
