import type { Memory } from "../memory/memory.js";

/** A page and which of the many that may have been at its address it is. */
export interface PoolPage {
  readonly address: number;
  readonly serial: number;
}

/** Pages of a memory with counted owners: freed when the last of them lets go. */
export class PagePool {
  readonly memory: Memory;
  readonly #references = new Map<number, number>();
  readonly #serials = new Map<number, number>();
  readonly #sizes = new Map<number, number>();
  #taken = 0;
  #bytes = 0;

  constructor(memory: Memory) {
    this.memory = memory;
  }

  /** Bytes of all pages that have an owner, each counted once. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A zeroed page with one owner. @throws MemoryError */
  take(bytes: number): number {
    const address = this.memory.alloc(bytes, "the KV cache");
    this.#bytes += bytes;
    this.#sizes.set(address, bytes);
    this.memory.u8(address, bytes).fill(0);
    this.#references.set(address, 1);
    this.#serials.set(address, ++this.#taken);
    return address;
  }

  describe(address: number): PoolPage {
    return { address, serial: this.#serials.get(address) ?? 0 };
  }

  /** Whether the page still has an owner. */
  isAlive(page: PoolPage): boolean {
    return this.#serials.get(page.address) === page.serial;
  }

  /** Adds an owner. */
  retain(address: number): number {
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
      this.#bytes -= this.#sizes.get(address) ?? 0;
      this.#sizes.delete(address);
      this.memory.free(address);
    }
  }
}

/** An entry of a page table; `tag` is added to the address in the table, for the kernels: 1 marks packed references. */
export interface TableEntry {
  readonly address: number;
  readonly bytes: number;
  readonly tag: 0 | 1;
}

/** A table of page addresses in the model's memory (u32, one per 64 tokens) and the pages it points to. */
export class PageTable {
  readonly address: number;
  /** Bytes of a page when it is new. */
  readonly bytesPerPage: number;
  readonly #pool: PagePool;
  readonly #capacity: number;
  #pages: (TableEntry | undefined)[] = [];
  #bytes = 0;

  /** @throws MemoryError */
  constructor(pool: PagePool, capacity: number, bytesPerPage: number) {
    this.#pool = pool;
    this.#capacity = capacity;
    this.bytesPerPage = bytesPerPage;
    this.address = pool.memory.alloc(capacity * 4, "the KV cache");
  }

  /** Entries, vacant ones included. */
  get count(): number {
    return this.#pages.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  page(index: number): TableEntry | undefined {
    return this.#pages[index];
  }

  /** Appends new pages until there are `count`. @throws MemoryError with the pages taken so far kept. */
  grow(count: number): void {
    while (this.#pages.length < Math.min(count, this.#capacity))
      this.set(this.#pages.length, {
        address: this.#pool.take(this.bytesPerPage),
        bytes: this.bytesPerPage,
        tag: 0,
      });
  }

  /** Puts a page, or none, at an index up to `count`, and lets go of the one that was there. */
  set(index: number, page: TableEntry | undefined): void {
    const old = this.#pages[index];
    this.#pages[index] = page;
    this.#bytes += (page?.bytes ?? 0) - (old?.bytes ?? 0);
    this.#pool.memory.u32(this.address, this.#capacity)[index] = page ? page.address + page.tag : 0;
    if (old) this.#pool.release(old.address);
  }

  /** Makes sure that page `index` belongs to this table alone, copying it if need be. @throws MemoryError */
  own(index: number): void {
    const shared = this.#pages[index];
    if (!shared || this.#pool.owners(shared.address) === 1) return;
    const address = this.#pool.take(shared.bytes);
    this.#pool.memory.u8(address, shared.bytes).set(this.#pool.memory.u8(shared.address, shared.bytes));
    this.set(index, { ...shared, address });
  }

  shrink(count: number): void {
    while (this.#pages.length > count) {
      const page = this.#pages.pop();
      if (!page) continue;
      this.#bytes -= page.bytes;
      this.#pool.release(page.address);
    }
  }

  /** Appends the pages of another table, shared with it. */
  shareWith(other: PageTable): void {
    for (const page of other.#pages) {
      if (page) this.#pool.retain(page.address);
      this.set(this.#pages.length, page);
    }
  }

  /** The bytes of page `index`; gone stale when the memory grows. */
  view(index: number): Uint8Array {
    const page = this.#pages[index];
    return page ? this.#pool.memory.u8(page.address, page.bytes) : new Uint8Array(0);
  }

  dispose(): void {
    this.shrink(0);
    this.#pool.memory.free(this.address);
  }
}
