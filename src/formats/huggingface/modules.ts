import type { Pooling } from "../../config.js";
import { UnsupportedError } from "../../errors.js";
import type { ModelFolder } from "../folder.js";
import { type JsonFields, readJsonObject } from "../json.js";
import type { TensorInfo } from "../model-file.js";
import { show } from "../show.js";
import type { ByteSource } from "../source.js";
import { openWeights } from "./weights.js";

/** Bytes of a configuration. */
const MAX_CONFIG_BYTES = 2 ** 20;

/** What sentence-transformers puts after a model: how tokens become one vector, and matrices for that. */
export interface Modules {
  pooling?: Pooling | undefined;
  dense: TensorInfo[];
}

const poolings: readonly [key: string, pooling: Pooling][] = [
  ["pooling_mode_mean_tokens", "mean"],
  ["pooling_mode_cls_token", "cls"],
  ["pooling_mode_lasttoken", "last"],
];

/**
 * Reads `1_Pooling`, `2_Dense` and `3_Dense` of a folder, where they are. What is opened is put into `sources`.
 * @throws UnsupportedError for other ways of pooling, and for matrices with a bias or an activation
 */
export async function readModules(folder: ModelFolder, sources: ByteSource[], signal?: AbortSignal): Promise<Modules> {
  const json = async (file: string): Promise<JsonFields | undefined> => {
    const source = await folder.open(file, signal);
    return source && readJsonObject(source, MAX_CONFIG_BYTES, signal);
  };
  const pooling = await json("1_Pooling/config.json");
  if (!pooling) return { dense: [] };
  const how = poolings.filter(([key]) => pooling.boolean(key));
  const [first] = how;
  if (!first || how.length > 1)
    throw new UnsupportedError("The pooling is none of mean, first and last token", {
      file: pooling.file,
      key: "pooling_mode",
    });
  const dense: TensorInfo[] = [];
  for (const module of ["2_Dense", "3_Dense"]) {
    const config = await json(`${module}/config.json`);
    if (!config) break;
    const activation = config.string("activation_function") ?? "Identity";
    if (config.boolean("bias") || !activation.endsWith("Identity"))
      throw new UnsupportedError(`A matrix after pooling with a bias, or with ${show(activation)}, is not supported`, {
        file: config.file,
      });
    const inside: ModelFolder = {
      name: `${folder.name}/${module}`,
      open: (file) => folder.open(`${module}/${file}`, signal),
    };
    const { tensors } = await openWeights(inside, sources, undefined, signal);
    dense.push(...tensors.filter(({ name }) => name === "linear.weight"));
  }
  return { pooling: first[1], dense };
}
