import type { TensorInfo } from "../formats/model-file.js";

/** The same structure with every tensor changed. */
export function mapTensors<Value>(value: Value, change: (tensor: TensorInfo) => TensorInfo): Value {
  if (Array.isArray(value)) return value.map((item) => mapTensors(item, change)) as Value;
  if (typeof value !== "object" || value === null) return value;
  if ("byteLength" in value && "source" in value) return change(value as unknown as TensorInfo) as Value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapTensors(item, change)])) as Value;
}
