import { DeltaLLMError } from "#src/errors.js";
import type { ByteSource } from "#src/formats/source.js";

/** Random numbers from a seed (mulberry32): the same on every machine, so that a failing case can be run again. */
export class Random {
  constructor(private state: number) {}

  /** Below 2^32. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  }
  below(limit: number): number {
    return this.next() % Math.max(limit, 1);
  }
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}

/** Numbers that break careless readers. */
const wideNumbers = [
  0n,
  1n,
  31n,
  33n,
  2n ** 16n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 40n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
];
const jsonPieces = [
  "-1",
  "0",
  "1e999",
  "9007199254740993",
  "4294967296",
  "null",
  "true",
  '""',
  "[]",
  "{}",
  '"U8"',
  '"__proto__"',
  "[".repeat(20_000),
  "[[[[]]]]",
  '{"a":1}',
  '"F32"',
  '"BF16"',
  "0.5",
  '"\\ud800"',
  "}",
  "]",
  ",",
  ":",
];

/** Changes some bytes of a header: bits, lengths, pieces. */
export function mutateBytes(original: Uint8Array, random: Random): Uint8Array {
  let bytes: Uint8Array = original.slice();
  for (let times = 1 + random.below(3); times > 0; times--) {
    const at = random.below(bytes.length);
    const kind = random.below(6);
    if (kind === 0) {
      for (let flips = 1 + random.below(8); flips > 0; flips--) {
        const where = random.below(bytes.length);
        bytes[where] = (bytes[where] as number) ^ (1 << random.below(8));
      }
    } else if (kind === 1) {
      bytes = bytes.slice(0, at);
    } else if (kind === 2 || kind === 3) {
      if (at + 8 <= bytes.length)
        new DataView(bytes.buffer, bytes.byteOffset).setBigUint64(at, random.pick(wideNumbers), true);
    } else if (kind === 4) {
      if (at + 4 <= bytes.length)
        new DataView(bytes.buffer, bytes.byteOffset).setUint32(
          at,
          Number(random.pick(wideNumbers) & 0xffffffffn),
          true,
        );
    } else {
      bytes = splice(bytes, at, random.below(64), piece(bytes, random));
    }
    if (bytes.length === 0) return bytes;
  }
  return bytes;
}

/** Edits JSON text: a value replaced, a piece put in or taken out, letters changed. */
export function mutateJson(text: string, random: Random): string {
  let edited = text;
  for (let times = random.pick([1, 1, 1, 2, 3]); times > 0; times--) {
    const at = random.below(edited.length);
    const kind = random.below(5);
    if (kind <= 1) {
      const values = [...edited.matchAll(/-?\d[\d.e+-]*|"[^"]*"|true|false|null/g)];
      const value = values[random.below(values.length)];
      if (!value) continue;
      edited = edited.slice(0, value.index) + random.pick(jsonPieces) + edited.slice(value.index + value[0].length);
    } else if (kind === 2) {
      edited = edited.slice(0, at) + edited.slice(at + 1 + random.below(40));
    } else if (kind === 3) {
      edited = edited.slice(0, at) + random.pick(jsonPieces) + edited.slice(at);
    } else {
      const from = random.below(edited.length);
      edited = edited.slice(0, at) + edited.slice(from, from + random.below(80)) + edited.slice(at);
    }
  }
  return edited;
}

function piece(bytes: Uint8Array, random: Random): Uint8Array {
  const from = random.below(bytes.length);
  return bytes.slice(from, from + random.below(64));
}

function splice(bytes: Uint8Array, at: number, remove: number, insert: Uint8Array): Uint8Array {
  const tail = bytes.subarray(Math.min(bytes.length, at + remove));
  const all = new Uint8Array(at + insert.length + tail.length);
  all.set(bytes.subarray(0, at));
  all.set(insert, at);
  all.set(tail, at + insert.length);
  return all;
}

/** Bytes a case has asked of its sources. */
export interface Meter {
  requested: number;
}

/** Bytes followed by zeros up to a size; counts what is asked of it. */
export class CountingSource implements ByteSource {
  readonly name = "fuzzed";

  constructor(
    private readonly bytes: Uint8Array,
    private readonly meter: Meter,
    readonly size: number = bytes.length,
  ) {}

  async read(offset: number, length: number): Promise<Uint8Array> {
    this.meter.requested += length;
    if (!(offset >= 0 && length >= 0 && offset + length <= this.size)) {
      throw new Error(`Read of ${length} bytes at ${offset} from a source of ${this.size}`);
    }
    const part = new Uint8Array(length);
    part.set(this.bytes.subarray(offset, offset + length));
    return part;
  }
}

/** What a case may cost: a healthy header of that size takes a millisecond and some kB. */
const MOST_BYTES = 64 * 2 ** 20;
const MOST_MILLISECONDS = 2000;

/** Counts of what became of the cases. */
export interface FuzzResult {
  loaded: number;
  refused: number;
  slowest: number;
  largest: number;
}

/**
 * Runs cases `from` to `to`; each must load or fail with an error of this package, quickly and in little memory.
 * @param attempt Opens the case's file and counts the bytes asked of its sources.
 * @param minutes goes on with further cases for so long
 */
export async function fuzz(
  from: number,
  to: number,
  attempt: (random: Random, meter: Meter) => Promise<void>,
  minutes = 0,
): Promise<FuzzResult> {
  const end = performance.now() + minutes * 60_000;
  const result: FuzzResult = { loaded: 0, refused: 0, slowest: 0, largest: 0 };
  for (let seed = from; seed < to || performance.now() < end; seed++) {
    const before = used();
    const start = process.cpuUsage();
    const meter: Meter = { requested: 0 };
    try {
      await attempt(new Random(seed), meter);
      result.loaded++;
    } catch (error) {
      if (!(error instanceof DeltaLLMError)) throw new Error(`case ${seed}: ${(error as Error)?.stack ?? error}`);
      result.refused++;
    }
    // Computing time, not that of the clock: other processes may be running.
    const { user, system } = process.cpuUsage(start);
    const time = (user + system) / 1000;
    const bytes = Math.max(used() - before, meter.requested);
    if (time > MOST_MILLISECONDS) throw new Error(`case ${seed} took ${time} ms`);
    if (bytes > MOST_BYTES) throw new Error(`case ${seed} took ${bytes} bytes`);
    result.slowest = Math.max(result.slowest, time);
    result.largest = Math.max(result.largest, bytes);
  }
  return result;
}

function used(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
