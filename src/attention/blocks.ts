import type { Memory } from "../runtime/memory.js";

/** Blocks of a memory that several caches may share: freed when the last of them lets go. */
export class BlockPool {
  readonly memory: Memory;
  readonly #references = new Map<number, number>();

  constructor(memory: Memory) {
    this.memory = memory;
  }

  /** A zeroed block with one owner. @throws MemoryError */
  take(bytes: number): number {
    const address = this.memory.alloc(bytes, "the KV cache");
    this.memory.u8(address, bytes).fill(0);
    this.#references.set(address, 1);
    return address;
  }

  share(address: number): void {
    this.#references.set(address, this.owners(address) + 1);
  }

  owners(address: number): number {
    return this.#references.get(address) ?? 0;
  }

  release(address: number): void {
    const owners = this.owners(address);
    if (owners > 1) this.#references.set(address, owners - 1);
    else {
      this.#references.delete(address);
      this.memory.free(address);
    }
  }
}

/** A table of block addresses in the model's memory (u32, one per 64 tokens) and the blocks it points to. */
export class BlockTable {
  readonly address: number;
  readonly bytesPerBlock: number;
  readonly #pool: BlockPool;
  readonly #capacity: number;
  #blocks: number[] = [];

  /** @throws MemoryError */
  constructor(pool: BlockPool, capacity: number, bytesPerBlock: number) {
    this.#pool = pool;
    this.#capacity = capacity;
    this.bytesPerBlock = bytesPerBlock;
    this.address = pool.memory.alloc(capacity * 4, "the KV cache");
  }

  get count(): number {
    return this.#blocks.length;
  }

  get bytes(): number {
    return this.#blocks.length * this.bytesPerBlock;
  }

  /** Appends blocks until there are `count`. @throws MemoryError with the blocks taken so far kept. */
  grow(count: number): void {
    while (this.#blocks.length < Math.min(count, this.#capacity)) this.#append(this.#pool.take(this.bytesPerBlock));
  }

  /** Makes sure that block `index` belongs to this table alone, copying it if need be. @throws MemoryError */
  own(index: number): void {
    const shared = this.#blocks[index];
    if (shared === undefined || this.#pool.owners(shared) === 1) return;
    const copy = this.#pool.take(this.bytesPerBlock);
    const { memory } = this.#pool;
    memory.u8(copy, this.bytesPerBlock).set(memory.u8(shared, this.bytesPerBlock));
    this.#pool.release(shared);
    this.#blocks[index] = copy;
    memory.u32(this.address, this.#capacity)[index] = copy;
  }

  shrink(count: number): void {
    while (this.#blocks.length > count) this.#pool.release(this.#blocks.pop() as number);
  }

  /** Appends the blocks of another table, shared with it. */
  shareWith(other: BlockTable): void {
    for (const block of other.#blocks) {
      this.#pool.share(block);
      this.#append(block);
    }
  }

  /** The bytes of block `index`; gone stale when the memory grows. */
  view(index: number): Uint8Array {
    return this.#pool.memory.u8(this.#blocks[index] as number, this.bytesPerBlock);
  }

  dispose(): void {
    this.shrink(0);
    this.#pool.memory.free(this.address);
  }

  #append(block: number): void {
    this.#pool.memory.u32(this.address, this.#capacity)[this.#blocks.length] = block;
    this.#blocks.push(block);
  }
}
