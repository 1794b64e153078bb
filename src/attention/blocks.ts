import type { Memory } from "../runtime/memory.js";

/** A block and which of the many that may have been at its address it is. */
export interface PoolBlock {
  readonly address: number;
  readonly serial: number;
}

/** Blocks of a memory that several caches may share: freed when the last of them lets go. */
export class BlockPool {
  readonly memory: Memory;
  readonly #references = new Map<number, number>();
  readonly #serials = new Map<number, number>();
  #taken = 0;

  constructor(memory: Memory) {
    this.memory = memory;
  }

  /** A zeroed block with one owner. @throws MemoryError */
  take(bytes: number): number {
    const address = this.memory.alloc(bytes, "the KV cache");
    this.memory.u8(address, bytes).fill(0);
    this.#references.set(address, 1);
    this.#serials.set(address, ++this.#taken);
    return address;
  }

  describe(address: number): PoolBlock {
    return { address, serial: this.#serials.get(address) ?? 0 };
  }

  /** Whether the block still has an owner. */
  isAlive(block: PoolBlock): boolean {
    return this.#serials.get(block.address) === block.serial;
  }

  /** Adds an owner. */
  share(address: number): number {
    this.#references.set(address, this.owners(address) + 1);
    return address;
  }

  owners(address: number): number {
    return this.#references.get(address) ?? 0;
  }

  release(address: number): void {
    const owners = this.owners(address);
    if (owners > 1) this.#references.set(address, owners - 1);
    else {
      this.#references.delete(address);
      this.#serials.delete(address);
      this.memory.free(address);
    }
  }
}

/** An entry of a block table; `tag` is added to the address in the table, for the kernels. */
interface Block {
  address: number;
  bytes: number;
  tag: 0 | 1;
}

/** A table of block addresses in the model's memory (u32, one per 64 tokens) and the blocks it points to. */
export class BlockTable {
  readonly address: number;
  /** Bytes of a block as it is when new. */
  readonly bytesPerBlock: number;
  readonly #pool: BlockPool;
  readonly #capacity: number;
  #blocks: (Block | undefined)[] = [];

  /** @throws MemoryError */
  constructor(pool: BlockPool, capacity: number, bytesPerBlock: number) {
    this.#pool = pool;
    this.#capacity = capacity;
    this.bytesPerBlock = bytesPerBlock;
    this.address = pool.memory.alloc(capacity * 4, "the KV cache");
  }

  /** Entries, vacant ones included. */
  get count(): number {
    return this.#blocks.length;
  }

  get bytes(): number {
    return this.#blocks.reduce((sum, block) => sum + (block?.bytes ?? 0), 0);
  }

  block(index: number): Readonly<Block> | undefined {
    return this.#blocks[index];
  }

  /** Appends new blocks until there are `count`. @throws MemoryError with the blocks taken so far kept. */
  grow(count: number): void {
    while (this.#blocks.length < Math.min(count, this.#capacity))
      this.set(this.#blocks.length, {
        address: this.#pool.take(this.bytesPerBlock),
        bytes: this.bytesPerBlock,
        tag: 0,
      });
  }

  /** Puts a block, or none, at an index up to `count`, and lets go of the one that was there. */
  set(index: number, block: Block | undefined): void {
    const old = this.#blocks[index];
    this.#blocks[index] = block;
    this.#pool.memory.u32(this.address, this.#capacity)[index] = block ? block.address + block.tag : 0;
    if (old) this.#pool.release(old.address);
  }

  /** Makes sure that block `index` belongs to this table alone, copying it if need be. @throws MemoryError */
  own(index: number): void {
    const shared = this.#blocks[index];
    if (!shared || this.#pool.owners(shared.address) === 1) return;
    const address = this.#pool.take(shared.bytes);
    this.#pool.memory.u8(address, shared.bytes).set(this.#pool.memory.u8(shared.address, shared.bytes));
    this.set(index, { ...shared, address });
  }

  shrink(count: number): void {
    while (this.#blocks.length > count) {
      const block = this.#blocks.pop();
      if (block) this.#pool.release(block.address);
    }
  }

  /** Appends the blocks of another table, shared with it. */
  shareWith(other: BlockTable): void {
    for (const block of other.#blocks) {
      if (block) this.#pool.share(block.address);
      this.set(this.#blocks.length, block && { ...block });
    }
  }

  /** The bytes of block `index`; gone stale when the memory grows. */
  view(index: number): Uint8Array {
    const block = this.#blocks[index];
    return block ? this.#pool.memory.u8(block.address, block.bytes) : new Uint8Array(0);
  }

  dispose(): void {
    this.shrink(0);
    this.#pool.memory.free(this.address);
  }
}
