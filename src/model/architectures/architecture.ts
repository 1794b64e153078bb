import type { ModelConfig } from "../../config.js";
import type { Fields } from "../../formats/gguf/fields.js";
import type { JsonFields } from "../../formats/json.js";
import type { ForwardPass } from "../pass.js";
import type { LayerWeights, ModelPlan } from "../plan.js";
import type { LayerRole, ModelRole } from "./roles.js";

/** One tensor of an architecture: its names, its shape, and how its file form differs from ours. */
export interface TensorSpec<Role extends LayerRole | ModelRole = LayerRole | ModelRole> {
  role: Role;
  /** Name in GGUF files, in layers after `blk.N.`; absent where GGUF has no such tensor. */
  gguf?: string | undefined;
  /** Name in Hugging Face folders, in layers after `model.layers.N.`, else after `model.`. */
  huggingFace?: string | undefined;
  /** `[rows, columns]` or `[length]`. */
  shape: readonly number[];
  /** The model does without it when the file has none. */
  optional?: boolean | undefined;
  /** GGUF files hold the rows of each head in neighbour pairs (llama.cpp conversion `permute`). */
  paired?: boolean | undefined;
  /** It is these rows of a larger tensor. */
  rows?: { first: number; of: number } | undefined;
  /** Hugging Face folders hold the values minus this number. */
  lessBy?: number | undefined;
}

/** What a class of transformers takes when config.json is silent. */
export interface ClassDefaults {
  /** Names in `architectures` of config.json. */
  classes: readonly string[];
  /** Names in `model_type`. */
  modelTypes: readonly string[];
  /** By key; a key that is not here must be in the file. */
  values: Readonly<Record<string, number>>;
  activation: ModelConfig["activation"];
  /** `tie_word_embeddings`; absent: as the file's tensors say. */
  tied?: boolean | undefined;
}

/**
 * A family of models: how its files describe it, which tensors they hold, and the formula of a layer. An architecture that
 * differs from another by switches of `ModelConfig` is one such object and one golden test.
 */
export interface Architecture {
  name: string;
  /** Names in `general.architecture` of GGUF files. */
  gguf: readonly string[];
  huggingFace: ClassDefaults;
  /** Matrices are made for ternary weights: full-precision ones of a folder are masters, made ternary at load. */
  ternary?: boolean | undefined;
  /** Its layer calls `ForwardPass.gated`, which leaves out what a zero gate makes zero. */
  gated?: boolean | undefined;
  /** Some elements of a head may stay unturned. */
  partialRope?: boolean | undefined;
  /** Switches found in the metadata of a GGUF file; `key` puts the architecture's own prefix in front of a name. */
  readGguf?(fields: Fields, key: (name: string) => string, config: ModelConfig): Partial<ModelConfig>;
  /** Switches found in config.json. */
  readHuggingFace?(json: JsonFields, config: ModelConfig): Partial<ModelConfig>;
  /** Tensors outside the layers. */
  model(config: ModelConfig): TensorSpec<ModelRole>[];
  /** Tensors of every layer. */
  layer(config: ModelConfig): TensorSpec<LayerRole>[];
  /** Runs one layer. */
  run(pass: ForwardPass, plan: ModelPlan, weights: LayerWeights, layer: number): void;
}
