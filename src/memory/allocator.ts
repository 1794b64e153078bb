/** First-fit allocator over one growing address range; blocks are multiples of 64 bytes. Knows addresses, not memory. */
export class Allocator {
  /** Free ranges by start address, sorted, never touching. */
  #free: { start: number; end: number }[] = [];
  readonly #sizes = new Map<number, number>();
  #end: number;
  #used = 0;

  /** @param start first address that may be handed out */
  constructor(start: number) {
    this.#end = align(start);
  }

  /** Bytes handed out and not yet given back. */
  get usedBytes(): number {
    return this.#used;
  }

  /** Address after the last block ever handed out that is still in use or lies below one in use. */
  get end(): number {
    return this.#end;
  }

  alloc(bytes: number): number {
    const size = align(Math.max(bytes, 1));
    this.#used += size;
    const index = this.#free.findIndex((range) => range.end - range.start >= size);
    const range = this.#free[index];
    let start: number;
    if (range) {
      start = range.start;
      range.start += size;
      if (range.start === range.end) this.#free.splice(index, 1);
    } else {
      start = this.#end;
      this.#end += size;
    }
    this.#sizes.set(start, size);
    return start;
  }

  /** Gives a block back. Freeing an address that is not in use is a programming error and throws. */
  free(start: number): void {
    const size = this.#sizes.get(start);
    if (size === undefined) throw new Error(`address ${start} is not allocated`);
    this.#sizes.delete(start);
    this.#used -= size;
    let end = start + size;
    let low = 0;
    for (let high = this.#free.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((this.#free[middle] as { start: number }).start < start) low = middle + 1;
      else high = middle;
    }
    const next = this.#free[low];
    const previous = this.#free[low - 1];
    let first = start;
    let removed = 0;
    let at = low;
    if (next && next.start === end) {
      end = next.end;
      removed++;
    }
    if (previous && previous.end === start) {
      first = previous.start;
      at--;
      removed++;
    }
    if (end === this.#end) {
      this.#free.splice(at, removed);
      this.#end = first;
    } else this.#free.splice(at, removed, { start: first, end });
  }
}

function align(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}
