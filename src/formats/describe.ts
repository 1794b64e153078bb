import type { ModelConfig } from "../config.js";
import type { ModelFile, TensorInfo } from "./model-file.js";
import { StringList } from "./string-list.js";

/** Longest text of a metadata value in a description, in UTF-16 units. */
const MAX_TEXT = 4000;
/** Elements of an array shown in a description. */
const MAX_ELEMENTS = 8;

/** What is in a model file, as plain data that `JSON.stringify` takes. */
export interface ModelDescription {
  name: string;
  container: ModelFile["container"];
  config: ModelConfig;
  /** Weights, counted once: a tied head is not counted again. */
  parameters: number;
  /** Bytes of all tensors. */
  tensorBytes: number;
  /** By type, the largest first. */
  totals: TypeTotal[];
  tiedHead: boolean;
  tokenizer: TokenizerDescription;
  metadata: Record<string, unknown>;
  tensors: TensorDescription[];
  notes: string[];
}

export interface TypeTotal {
  type: string;
  tensors: number;
  values: number;
  bytes: number;
}

export interface TokenizerDescription {
  kind: string;
  pre: string | null;
  pattern: string | null;
  tokens: number;
  merges: number;
  bos: NamedToken | null;
  ends: NamedToken[];
  addBos: boolean | null;
  chatTemplate: string | null;
}

export interface NamedToken {
  id: number;
  text: string;
}

export interface TensorDescription {
  name: string;
  type: string;
  /** Outermost dimension first. */
  shape: number[];
  file: string;
  /** Byte offset in that file. */
  offset: number;
  bytes: number;
  /** Of I2_S tensors: which of the three byte layouts. */
  i2sLayout?: string;
}

/** Describes a model file for people and scripts; long arrays and texts of the metadata are cut. */
export function describeModel(file: ModelFile): ModelDescription {
  const { tokenizer } = file;
  const named = (id: number): NamedToken => ({ id, text: tokenizer.tokens[id] ?? "" });
  return {
    name: file.name,
    container: file.container,
    config: file.config,
    parameters: countParameters(file),
    tensorBytes: file.allTensors.reduce((sum, { byteLength }) => sum + byteLength, 0),
    totals: totals(file.allTensors),
    tiedHead: file.tensors.head === undefined,
    tokenizer: {
      kind: tokenizer.kind,
      pre: tokenizer.pre ?? null,
      pattern: tokenizer.pattern ?? null,
      tokens: tokenizer.tokens.length,
      merges: tokenizer.merges.length,
      bos: tokenizer.bosId === undefined ? null : named(tokenizer.bosId),
      ends: tokenizer.eosIds.map(named),
      addBos: tokenizer.addBos ?? null,
      chatTemplate: tokenizer.chatTemplate ?? null,
    },
    metadata: Object.fromEntries([...file.metadata].map(([key, value]) => [key, brief(value)])),
    tensors: file.allTensors.map(({ name, type, shape, source, offset, byteLength, i2sLayout }) => ({
      name,
      type,
      shape,
      file: source.name,
      offset,
      bytes: byteLength,
      ...(i2sLayout ? { i2sLayout } : {}),
    })),
    notes: file.notes,
  };
}

function totals(tensors: readonly TensorInfo[]): TypeTotal[] {
  const byType = new Map<string, TypeTotal>();
  for (const { type, shape, byteLength } of tensors) {
    const total = byType.get(type) ?? { type, tensors: 0, values: 0, bytes: 0 };
    total.tensors++;
    total.values += shape.reduce((product, length) => product * length, 1);
    total.bytes += byteLength;
    byType.set(type, total);
  }
  return [...byType.values()].sort((a, b) => b.bytes - a.bytes);
}

/** Weights of the model proper: no RoPE factors, no scales. */
function countParameters({ tensors }: ModelFile): number {
  const parts: (TensorInfo | undefined)[] = [tensors.embedding, tensors.outputNorm, tensors.head];
  for (const layer of tensors.layers) parts.push(...(Object.values(layer) as (TensorInfo | undefined)[]));
  return parts.reduce((sum, tensor) => sum + (tensor?.shape.reduce((product, length) => product * length, 1) ?? 0), 0);
}

function brief(value: unknown, depth = 0): unknown {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (typeof value === "string") return value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value;
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth > 8) return "…";
  if (Array.isArray(value) || ArrayBuffer.isView(value) || value instanceof StringList) {
    const list = value instanceof StringList ? value : Array.from(value as ArrayLike<unknown>);
    const shown = list.slice(0, MAX_ELEMENTS).map((each: unknown) => brief(each, depth + 1));
    return list.length > MAX_ELEMENTS ? { length: list.length, first: shown } : shown;
  }
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, brief(each, depth + 1)]));
}
