const SMALLEST = 128 * 1024;

/** The size of the memory behind an array: one of four to every power of two, so that others fit it, too. */
function classOf(size: number): number {
  const step = 2 ** Math.max(0, Math.floor(Math.log2(size)) - 2);
  return Math.ceil(size / step) * step;
}

/**
 * Memory for segments, shared with the threads that work on them, and used again: new memory for every
 * segment costs page faults, zeroing, and collections of all garbage, by which the engine answers that so
 * much comes and goes outside of its heap.
 */
export class SharedBuffers {
  private readonly shelves = new Map<number, SharedArrayBuffer[]>();
  private kept = 0;

  /** @param limit - bytes kept at most */
  constructor(private readonly limit: number) {}

  /** Bytes kept for later. */
  get size(): number {
    return this.kept;
  }

  /** Whether arrays of this size are shared: small ones are ordinary ones. */
  static shares(size: number): boolean {
    return size >= SMALLEST;
  }

  /** An array of this size, with anything in it. */
  take(size: number): Uint8Array {
    if (!SharedBuffers.shares(size)) return new Uint8Array(size);
    const room = classOf(size);
    const buffer = this.shelves.get(room)?.pop();
    if (buffer === undefined) {
      press(room);
      return new Uint8Array(new SharedArrayBuffer(room), 0, size);
    }
    this.kept -= room;
    return new Uint8Array(buffer, 0, size);
  }

  /**
   * Give back an array that {@link take} gave, once; nobody may use it any more. One that is never given back is
   * left to the collector of garbage.
   */
  give({ buffer }: Uint8Array): void {
    if (!(buffer instanceof SharedArrayBuffer)) return;
    const room = buffer.byteLength;
    if (this.kept + room > this.limit) return;
    const shelf = this.shelves.get(room);
    if (shelf === undefined) this.shelves.set(room, [buffer]);
    else shelf.push(buffer);
    this.kept += room;
  }

  /** Keep nothing. */
  clear(): void {
    this.shelves.clear();
    press(this.kept);
    this.kept = 0;
  }
}

/**
 * Have garbage collected as if this much memory had been taken from the heap's allowance. V8 does not count shared
 * memory, and would see no reason to collect what is not needed any more; it counts ordinary buffers, which cost
 * nothing as long as nobody writes to them.
 */
function press(bytes: number): void {
  if (bytes > 0) new ArrayBuffer(bytes);
}
