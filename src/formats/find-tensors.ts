import type { ModelConfig } from "../config.js";
import { UnsupportedError } from "../errors.js";
import type { Architecture, TensorSpec } from "../model/architectures/index.js";
import type { Catalogue } from "./catalogue.js";
import type { LayerTensors, LinearTensor, ModelTensors, TensorInfo } from "./model-file.js";

/** How one kind of file names and stores the tensors of an architecture's table. */
export interface Naming {
  /** Undefined when such files have no tensor of this kind. */
  nameOf(spec: TensorSpec, layer?: number): string | undefined;
  /** Puts in what the file says about the tensor's use. */
  adapt?(tensor: LinearTensor, spec: TensorSpec, name: string): void;
}

/**
 * Finds every tensor of the architecture's table in a file and checks its shape.
 * @throws FormatError for a missing tensor or another shape; UnsupportedError for a type that is not supported there
 */
export function findTensors(
  catalogue: Catalogue,
  architecture: Architecture,
  config: ModelConfig,
  naming: Naming,
): ModelTensors {
  const find = (spec: TensorSpec, layer?: number): LinearTensor | undefined => {
    const name = naming.nameOf(spec, layer);
    if (name === undefined || (spec.optional && !catalogue.has(name))) return undefined;
    const [first = 0, ...rest] = spec.shape;
    const stored = catalogue.take(name, spec.rows ? [spec.rows.of, ...rest] : [...spec.shape]);
    if (spec.shape.length === 1) catalogue.checkVector(stored);
    const tensor: LinearTensor = spec.rows ? rowsOf(stored, spec.rows.first, first, catalogue) : { ...stored };
    naming.adapt?.(tensor, spec, name);
    return tensor;
  };
  const model: Partial<ModelTensors> = {};
  for (const spec of architecture.model(config)) model[spec.role] = find(spec);
  model.layers = Array.from({ length: config.layers }, (_, index) => {
    const layer: Partial<LayerTensors> = {};
    for (const spec of architecture.layer(config)) {
      const tensor = find(spec, index);
      if (tensor) layer[spec.role] = tensor;
    }
    return layer as LayerTensors;
  });
  return model as ModelTensors;
}

/** Some rows of a matrix, as a tensor of its own: rows are stored one after another in every type but these. */
function rowsOf(tensor: TensorInfo, first: number, count: number, catalogue: Catalogue): LinearTensor {
  const [rows = 0, columns = 0] = tensor.shape;
  if (tensor.type === "I2_S" || tensor.type === "HF_BITNET_U8")
    throw new UnsupportedError(`A joined matrix in ${tensor.type} is not supported`, catalogue.place(tensor));
  const bytes = tensor.byteLength / rows;
  return { ...tensor, shape: [count, columns], offset: tensor.offset + first * bytes, byteLength: count * bytes };
}

/**
 * Embedding and head are read row by row and multiplied without quantised activations.
 * @throws UnsupportedError for packed ternary weights
 */
export function checkLookUp(tensor: LinearTensor | undefined, what: string): void {
  if (tensor?.type === "I2_S" || tensor?.type === "HF_BITNET_U8") {
    const { name, offset, source } = tensor;
    throw new UnsupportedError(`${what} in ${tensor.type} is not supported`, {
      file: source.name,
      offset,
      tensor: name,
    });
  }
}
