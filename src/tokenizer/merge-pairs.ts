/** How early `text[start, middle)` and `text[middle, end)` are joined: lower is earlier, undefined is never. */
export type MergePriority = (text: string, start: number, middle: number, end: number) => number | undefined;

/**
 * Joins neighbours, the lowest priority first and the leftmost of equals, until no pair is left that may be joined:
 * the loop of every byte-pair encoding. O(n log n) for n symbols, so a megabyte of one letter is no danger.
 *
 * @param starts where each symbol begins in `text`, increasing; the last one ends with the text
 * @returns where each remaining symbol begins
 */
export function mergePairs(text: string, starts: Int32Array, priority: MergePriority): Int32Array {
  const count = starts.length;
  const end = new Int32Array(count); // −1 once the symbol has been taken in by the one before it
  const next = new Int32Array(count);
  const previous = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    end[i] = i + 1 < count ? starts[i + 1]! : text.length;
    next[i] = i + 1;
    previous[i] = i - 1;
  }
  const heap = new Candidates();
  const propose = (left: number) => {
    const right = next[left]!;
    if (right === count) return;
    const order = priority(text, starts[left]!, starts[right]!, end[right]!);
    if (order !== undefined) heap.push(order, left, end[right]!);
  };
  for (let left = 0; left < count; left++) propose(left);
  while (heap.size > 0) {
    const { left, stop } = heap.pop();
    const right = next[left]!;
    // A candidate is out of date when one of its two symbols has grown or gone since.
    if (end[left] === -1 || right === count || end[right] !== stop) continue;
    end[left] = stop;
    end[right] = -1;
    const after = next[right]!;
    next[left] = after;
    if (after < count) previous[after] = left;
    if (previous[left]! >= 0) propose(previous[left]!);
    propose(left);
  }
  return starts.filter((_, i) => end[i] !== -1);
}

/** Binary heap of pairs, ordered by priority, then by place. */
class Candidates {
  size = 0;
  #order: number[] = [];
  #left: number[] = [];
  #stop: number[] = [];

  push(order: number, left: number, stop: number): void {
    let at = this.size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(order, left, parent)) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#set(at, order, left, stop);
  }

  pop(): { left: number; stop: number } {
    const first = { left: this.#left[0]!, stop: this.#stop[0]! };
    const last = --this.size;
    const order = this.#order[last]!;
    const left = this.#left[last]!;
    let at = 0;
    for (let child = 1; child < last; child = 2 * at + 1) {
      if (child + 1 < last && this.#before(this.#order[child + 1]!, this.#left[child + 1]!, child)) child++;
      if (this.#before(order, left, child)) break;
      this.#move(child, at);
      at = child;
    }
    this.#set(at, order, left, this.#stop[last]!);
    return first;
  }

  #before(order: number, left: number, other: number): boolean {
    const than = this.#order[other]!;
    return order < than || (order === than && left < this.#left[other]!);
  }

  #move(from: number, to: number): void {
    this.#set(to, this.#order[from]!, this.#left[from]!, this.#stop[from]!);
  }

  #set(at: number, order: number, left: number, stop: number): void {
    this.#order[at] = order;
    this.#left[at] = left;
    this.#stop[at] = stop;
  }
}
