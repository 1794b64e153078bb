// RFC 1951, for the kernels inside the package. The decompression that runtimes bring is not the same everywhere, and
// asynchronous where it is.

/** Lengths of matches: base values and extra bits of the codes 257 … 285. */
const LENGTH_EXTRA = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const LENGTH_BASE = bases(3, LENGTH_EXTRA);
LENGTH_BASE[28] = 258;
/** Distances: the same of the codes 0 … 29. */
const DISTANCE_EXTRA = Array.from({ length: 30 }, (_, i) => Math.max(0, (i >> 1) - 1));
const DISTANCE_BASE = bases(1, DISTANCE_EXTRA);
/** The order in which the lengths of the code length codes are stored. */
const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** A Huffman code: for every next `bits` bits of the data, symbol × 16 + length of its code; 0 where there is none. */
interface Code {
  bits: number;
  table: Uint16Array;
}

/**
 * Inflates raw deflate.
 * @param length bytes of the result
 * @throws Error when the data is not what it should be
 */
export function inflate(data: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(length);
  let at = 0;
  let read = 0;
  let held = 0;
  let heldBits = 0;

  const bits = (count: number): number => {
    while (heldBits < count) {
      if (read === data.length) throw broken();
      held |= data[read++]! << heldBits;
      heldBits += 8;
    }
    const value = held & ((1 << count) - 1);
    held >>>= count;
    heldBits -= count;
    return value;
  };

  const symbol = ({ bits: width, table }: Code): number => {
    // At the end of the data the bits after it count as 0.
    while (heldBits < width && read < data.length) {
      held |= data[read++]! << heldBits;
      heldBits += 8;
    }
    const entry = table[held & ((1 << width) - 1)]!;
    const size = entry & 15;
    if (size === 0 || size > heldBits) throw broken();
    held >>>= size;
    heldBits -= size;
    return entry >> 4;
  };

  const stored = () => {
    // Whole bytes that were taken in advance go back.
    read -= heldBits >> 3;
    held = 0;
    heldBits = 0;
    const size = bits(16);
    if ((bits(16) ^ 0xffff) !== size || read + size > data.length || at + size > length) throw broken();
    out.set(data.subarray(read, read + size), at);
    read += size;
    at += size;
  };

  const block = (literals: Code, distances: Code) => {
    for (let value = symbol(literals); value !== 256; value = symbol(literals)) {
      if (value < 256) {
        if (at === length) throw broken();
        out[at++] = value;
        continue;
      }
      const run = LENGTH_BASE[value - 257]! + bits(LENGTH_EXTRA[value - 257]!);
      const code = symbol(distances);
      const distance = DISTANCE_BASE[code]! + bits(DISTANCE_EXTRA[code]!);
      if (!(distance <= at && at + run <= length)) throw broken();
      for (const end = at + run; at < end; at++) out[at] = out[at - distance]!;
    }
  };

  const dynamic = () => {
    const literals = bits(5) + 257;
    const distances = bits(5) + 1;
    const known = bits(4) + 4;
    const sizes = new Uint8Array(19);
    for (let i = 0; i < known; i++) sizes[ORDER[i]!] = bits(3);
    const code = makeCode(sizes);
    const lengths = new Uint8Array(literals + distances);
    for (let i = 0; i < lengths.length; ) {
      const value = symbol(code);
      const [repeat, of] =
        value < 16
          ? [1, value]
          : value === 16
            ? [3 + bits(2), lengths[i - 1] ?? 0]
            : [value === 17 ? 3 + bits(3) : 11 + bits(7), 0];
      lengths.fill(of!, i, i + repeat!);
      i += repeat!;
    }
    block(makeCode(lengths.subarray(0, literals)), makeCode(lengths.subarray(literals)));
  };

  for (let last = 0; !last; ) {
    last = bits(1);
    const kind = bits(2);
    if (kind === 0) stored();
    else if (kind === 1) block(FIXED_LITERALS, FIXED_DISTANCES);
    else if (kind === 2) dynamic();
    else throw broken();
  }
  if (at !== length) throw broken();
  return out;
}

const FIXED_LITERALS = makeCode(
  Uint8Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8)),
);
const FIXED_DISTANCES = makeCode(new Uint8Array(30).fill(5));

function makeCode(lengths: Uint8Array): Code {
  const counts = new Uint16Array(16);
  for (const length of lengths) counts[length]!++;
  counts[0] = 0;
  let bits = 15;
  while (bits > 1 && counts[bits] === 0) bits--;
  const next = new Uint32Array(17);
  for (let size = 1; size <= 15; size++) next[size + 1] = (next[size]! + counts[size]!) << 1;
  if (next[bits + 1]! > 2 << bits) throw broken();
  const table = new Uint16Array(1 << bits);
  lengths.forEach((length, symbol) => {
    if (length === 0) return;
    // Codes are stored from their highest bit on.
    let code = next[length]!++;
    let reversed = 0;
    for (let i = 0; i < length; i++, code >>= 1) reversed = (reversed << 1) | (code & 1);
    for (let at = reversed; at < table.length; at += 1 << length) table[at] = (symbol << 4) | length;
  });
  return { bits, table };
}

function bases(first: number, extra: readonly number[]): number[] {
  let base = first;
  return extra.map((bits) => {
    base += 1 << bits;
    return base - (1 << bits);
  });
}

function broken(): Error {
  return new Error("the deflated data is damaged");
}
