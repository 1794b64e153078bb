/** Value types of GGUF metadata. */
export const Kind = {
  u8: 0,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
} as const;

/** One metadata entry: key, type id, value; arrays of `[element type, values]`. */
export type Entry = readonly [key: string, kind: number, value: unknown];

/** One tensor: `ne` has the innermost dimension first, as in the file. */
export interface WrittenTensor {
  name: string;
  ne: number[];
  type: number;
  bytes: Uint8Array;
  /** Claims this offset in the data section instead of the next free one. */
  offset?: number;
}

/** Things a test may want to be wrong. */
export interface Oddities {
  version?: number;
  tensorCount?: number | bigint;
  metadataCount?: number | bigint;
  alignment?: number;
}

class Writer {
  private readonly parts: Uint8Array[] = [];
  length = 0;

  bytes(bytes: Uint8Array): void {
    this.parts.push(bytes);
    this.length += bytes.length;
  }
  private number(size: number, put: (view: DataView) => void): void {
    const bytes = new Uint8Array(size);
    put(new DataView(bytes.buffer));
    this.bytes(bytes);
  }
  u8(value: number): void {
    this.number(1, (view) => view.setUint8(0, value));
  }
  u32(value: number): void {
    this.number(4, (view) => view.setUint32(0, value, true));
  }
  f32(value: number): void {
    this.number(4, (view) => view.setFloat32(0, value, true));
  }
  u64(value: number | bigint): void {
    this.number(8, (view) => view.setBigUint64(0, BigInt(value), true));
  }
  string(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.u64(bytes.length);
    this.bytes(bytes);
  }
  value(kind: number, value: unknown): void {
    if (kind === Kind.string) this.string(value as string);
    else if (kind === Kind.array) {
      const [element, values] = value as [number, unknown[]];
      this.u32(element);
      this.u64(values.length);
      for (const each of values) this.value(element, each);
    } else if (kind === Kind.u8 || kind === Kind.bool) this.u8(Number(value));
    else if (kind === Kind.f32) this.f32(value as number);
    else if (kind === Kind.u64) this.u64(value as number);
    else this.u32(value as number);
  }
  join(): Uint8Array {
    const all = new Uint8Array(this.length);
    let at = 0;
    for (const part of this.parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}

/** The bytes of a GGUF file. */
export function writeGguf(
  entries: readonly Entry[],
  tensors: readonly WrittenTensor[],
  odd: Oddities = {},
): Uint8Array {
  const alignment = odd.alignment ?? 32;
  const pad = (length: number) => Math.ceil(length / alignment) * alignment;
  const writer = new Writer();
  writer.bytes(new TextEncoder().encode("GGUF"));
  writer.u32(odd.version ?? 3);
  writer.u64(odd.tensorCount ?? tensors.length);
  writer.u64(odd.metadataCount ?? entries.length);
  for (const [key, kind, value] of entries) {
    writer.string(key);
    writer.u32(kind);
    writer.value(kind, value);
  }
  let offset = 0;
  for (const tensor of tensors) {
    writer.string(tensor.name);
    writer.u32(tensor.ne.length);
    for (const length of tensor.ne) writer.u64(length);
    writer.u32(tensor.type);
    writer.u64(tensor.offset ?? offset);
    offset += pad(tensor.bytes.length);
  }
  writer.bytes(new Uint8Array(pad(writer.length) - writer.length));
  for (const { bytes } of tensors) {
    writer.bytes(bytes);
    writer.bytes(new Uint8Array(pad(bytes.length) - bytes.length));
  }
  return writer.join();
}
