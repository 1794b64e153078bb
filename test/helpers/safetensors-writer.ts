/** One tensor for `writeSafetensors`. */
export interface PlainTensor {
  dtype: string;
  shape: number[];
  bytes: Uint8Array;
}

/** The bytes of a safetensors file around a header given as text; for damaged ones too. */
export function wrapSafetensors(header: string, data: Uint8Array, length?: bigint): Uint8Array {
  const json = new TextEncoder().encode(header);
  const all = new Uint8Array(8 + json.length + data.length);
  new DataView(all.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
  all.set(json, 8);
  all.set(data, 8 + json.length);
  return all;
}

/** The bytes of a safetensors file. */
export function writeSafetensors(tensors: Record<string, PlainTensor>): Uint8Array {
  const entries = Object.entries(tensors);
  const data = new Uint8Array(entries.reduce((sum, [, { bytes }]) => sum + bytes.length, 0));
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  let at = 0;
  for (const [name, { dtype, shape, bytes }] of entries) {
    data.set(bytes, at);
    header[name] = { dtype, shape, data_offsets: [at, at + bytes.length] };
    at += bytes.length;
  }
  return wrapSafetensors(JSON.stringify(header), data);
}

/** The tensors of a sound safetensors file. */
export function readSafetensors(file: Uint8Array): Record<string, PlainTensor> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const start = 8 + Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, start))) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  return Object.fromEntries(
    Object.entries(header)
      .filter(([name]) => name !== "__metadata__")
      .map(
        ([
          name,
          {
            dtype,
            shape,
            data_offsets: [from, to],
          },
        ]) => [name, { dtype, shape, bytes: file.slice(start + from, start + to) }],
      ),
  );
}
