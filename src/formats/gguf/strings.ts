import { StringList } from "../string-list.js";
import type { Cursor } from "./cursor.js";
import { MAX_STRING_BYTES } from "./limits.js";

const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Reads `count` length-prefixed strings. A vocabulary and its merges are 400,000 short strings, and a TextDecoder call
 * costs more than most of them: the texts that are in the buffer are packed together, decoded in one call, and cut by
 * UTF-16 lengths counted while packing.
 */
export async function readStrings(cursor: Cursor, count: number, key: string): Promise<StringList> {
  const strings = new StringList();
  // UTF-16 length of every string of the batch, and its end in `packed`.
  const lengths: number[] = [];
  const ends: number[] = [];
  while (strings.length < count) {
    await cursor.need(8, `element ${strings.length} of ${key}`);
    let filled = 0;
    lengths.length = 0;
    ends.length = 0;
    const { bytes } = cursor;
    const packed = cursor.scratch();
    let at = cursor.at;
    while (strings.length + lengths.length < count && bytes.length - at >= 8) {
      const low = ((bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16)) >>> 0;
      const high =
        (bytes[at + 3] as number) |
        (bytes[at + 4] as number) |
        (bytes[at + 5] as number) |
        (bytes[at + 6] as number) |
        (bytes[at + 7] as number);
      // Strings not wholly in the buffer take the slow way below.
      if (high !== 0 || at + 8 + low > bytes.length) break;
      at += 8;
      let units = low;
      for (const end = at + low; at < end; at++) {
        const byte = bytes[at] as number;
        packed[filled++] = byte;
        if (byte >= 0x80) {
          // A continuation byte adds no UTF-16 unit; the lead of four bytes adds one more.
          if (byte < 0xc0) units--;
          else if (byte >= 0xf0) units++;
        }
      }
      lengths.push(units);
      ends.push(filled);
    }
    cursor.at = at;
    if (lengths.length) appendBatch(strings, packed.subarray(0, filled), lengths, ends);
    if (lengths.length === 0) {
      const index = strings.length;
      const text = await cursor.string(`element ${index} of ${key}`, MAX_STRING_BYTES, { key });
      strings.append(text, [text.length]);
    }
  }
  return strings;
}

function appendBatch(out: StringList, packed: Uint8Array, lengths: number[], ends: number[]): void {
  try {
    out.append(strict.decode(packed), lengths);
  } catch {
    // Not UTF-8 somewhere: every string on its own, so that only the bad ones are changed.
    const texts = ends.map((end, i) => lenient.decode(packed.subarray(ends[i - 1] ?? 0, end)));
    out.append(
      texts.join(""),
      texts.map(({ length }) => length),
    );
  }
}
