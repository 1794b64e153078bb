import { FormatError, UnsupportedError } from "../errors.js";
import type { TensorInfo, TensorType } from "./model-file.js";

/** The tensors of a file by name, taken one by one with the shape the configuration demands. */
export class Catalogue {
  private readonly byName: Map<string, TensorInfo>;
  private readonly taken = new Set<string>();

  constructor(
    readonly file: string,
    readonly tensors: TensorInfo[],
  ) {
    this.byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  }

  has(name: string): boolean {
    return this.byName.has(name);
  }

  /** The tensor as stored, whatever its shape; undefined when the file has none. */
  peek(name: string): TensorInfo | undefined {
    return this.byName.get(name);
  }

  /** @throws FormatError when the tensor is missing or its shape differs from `shape`. */
  take(name: string, shape: number[]): TensorInfo {
    const tensor = this.byName.get(name);
    if (!tensor) {
      throw new FormatError("The file lacks a tensor that its configuration demands", {
        file: this.file,
        tensor: name,
      });
    }
    return this.check(tensor, shape);
  }

  /** A vector of plain numbers, such as norm weights. */
  takeVector(name: string, length: number): TensorInfo {
    const tensor = this.take(name, [length]);
    this.checkVector(tensor);
    return tensor;
  }

  /** @throws UnsupportedError for a vector of other than plain numbers */
  checkVector(tensor: TensorInfo): void {
    if (!isPlain(tensor.type)) {
      throw new UnsupportedError(
        `A vector in ${tensor.type} is not supported; F32, F16 or BF16 expected`,
        this.place(tensor),
      );
    }
  }

  /**
   * What no part of the model took.
   * @throws UnsupportedError when one of them is a bias, which the forward pass would leave out.
   */
  leftOver(): TensorInfo[] {
    const rest = this.tensors.filter((tensor) => !this.taken.has(tensor.name));
    const bias = rest.find(({ name }) => /^(blk|model\.layers|layers)\.\d+\..*\.bias$/.test(name));
    if (bias) throw new UnsupportedError("The architecture has no place for this bias", this.place(bias));
    return rest;
  }

  place(tensor: TensorInfo): { file: string; offset: number; tensor: string } {
    return { file: tensor.source.name, offset: tensor.offset, tensor: tensor.name };
  }

  private check(tensor: TensorInfo, shape: number[]): TensorInfo {
    if (tensor.shape.length !== shape.length || tensor.shape.some((length, i) => length !== shape[i])) {
      throw new FormatError(
        `The configuration demands the shape [${shape.join(", ")}], the file has [${tensor.shape.join(", ")}]`,
        this.place(tensor),
      );
    }
    this.taken.add(tensor.name);
    return tensor;
  }
}

/** Types that are numbers as they stand, not blocks. */
export function isPlain(type: TensorType): type is "F32" | "F16" | "BF16" {
  return type === "F32" || type === "F16" || type === "BF16";
}
