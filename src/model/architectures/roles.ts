/** Tensors of a layer, in the order of their use. */
export const layerRoles = [
  "attentionNorm",
  "query",
  "key",
  "value",
  "queryBias",
  "keyBias",
  "valueBias",
  "queryNorm",
  "keyNorm",
  "attentionSubNorm",
  "output",
  "outputBias",
  "attentionPostNorm",
  "ffnNorm",
  "gate",
  "up",
  "gateBias",
  "upBias",
  "ffnSubNorm",
  "down",
  "downBias",
  "ffnPostNorm",
] as const;
export type LayerRole = (typeof layerRoles)[number];

/** Those that are matrices, which every layer has; the others are vectors, and which there are is up to the architecture. */
export const matrixRoles = ["query", "key", "value", "output", "gate", "up", "down"] as const satisfies LayerRole[];
export type MatrixRole = (typeof matrixRoles)[number];
export type VectorRole = Exclude<LayerRole, MatrixRole>;

/** Tensors outside the layers. */
export type ModelRole =
  | "embedding"
  | "outputNorm"
  | "head"
  | "ropeFactors"
  | "shortFactors"
  | "longFactors"
  | "dense2"
  | "dense3";

export function isMatrix(role: LayerRole): role is MatrixRole {
  return (matrixRoles as readonly string[]).includes(role);
}
