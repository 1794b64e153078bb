import { OptionError } from "../errors.js";
import type { TensorInfo } from "../formats/model-file.js";
import type { Memory } from "../memory/memory.js";

/** Bytes read at once; large enough for disks and requests, and little to keep once the model is loaded. */
const READ_BYTES = 2 << 20;

/** Where the bytes on their way lie, and who wants to know. */
export interface StreamOptions {
  source: number;
  sourceBytes: number;
  /** From `readBuffers`; without them every read allocates. */
  buffers?: readonly [Uint8Array, Uint8Array] | undefined;
  signal?: AbortSignal | undefined;
  onBytes?: ((bytes: number) => void) | undefined;
}

/** Buffers for the reads of any number of tensors, one after the other. */
export function readBuffers(): [Uint8Array, Uint8Array] {
  return [new Uint8Array(READ_BYTES), new Uint8Array(READ_BYTES)];
}

/**
 * Reads the lines of a tensor, some at a time and always a multiple of `unit` (1), into memory at `options.source`, and calls
 * `handle` for each read. The next one is under way meanwhile.
 * @throws OptionError when `unit` lines do not fit
 */
export async function eachRead(
  memory: Memory,
  tensor: TensorInfo,
  options: StreamOptions,
  lines: { count: number; bytes: number; unit?: number },
  handle: (source: number, firstRow: number, rows: number, fileOffset: number) => void,
): Promise<void> {
  const { count: rows, bytes: lineBytes, unit = 1 } = lines;
  const room = Math.min(READ_BYTES, options.sourceBytes);
  const fit = Math.max(Math.floor(room / (lineBytes * unit)), 1) * unit;
  if (Math.min(fit, rows) * lineBytes > options.sourceBytes)
    throw new OptionError(`${options.sourceBytes} bytes of staging do not hold ${unit} rows of ${lineBytes} bytes`, {
      tensor: tensor.name,
    });
  let turn = 0;
  const read = (first: number) => {
    turn ^= 1;
    const bytes = Math.min(fit, rows - first) * lineBytes;
    const buffer = options.buffers?.[turn as 0 | 1];
    const into = buffer && buffer.length >= bytes ? buffer : undefined;
    const result = tensor.source.read(tensor.offset + first * lineBytes, bytes, options.signal, into);
    // Reported where it is awaited; without this an error of the step before would leave it unhandled.
    result.catch(() => {});
    return result;
  };
  let next = read(0);
  for (let first = 0; first < rows; first += fit) {
    const bytes = await next;
    options.signal?.throwIfAborted();
    if (first + fit < rows) next = read(first + fit);
    memory.u8(options.source, bytes.byteLength).set(bytes);
    handle(options.source, first, Math.min(fit, rows - first), tensor.offset + first * lineBytes);
    options.onBytes?.(bytes.byteLength);
  }
}
