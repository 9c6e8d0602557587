import { type CollectGarbage, exposedGc } from '@granary/kad';

const SMALLEST = 128 * 1024;

/** What is kept serves for arrays down to this part of it, as of the last segment of an object. */
const LEAST_USE = 1 / 4;

/** New shared memory after which all garbage is collected. */
const COLLECT_EVERY = 64 * 1024 * 1024;

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
  /** Bytes that were made, or let go, since garbage was collected. */
  private pressure = 0;

  /**
   * @param limit - bytes kept at most
   * @param collect - by default what `--expose-gc` gives, if it does
   */
  constructor(
    private readonly limit: number,
    private readonly collect: CollectGarbage | undefined = exposedGc(),
  ) {}

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
    const buffer = this.keptFor(room);
    if (buffer === undefined) {
      this.press(room);
      return new Uint8Array(new SharedArrayBuffer(room), 0, size);
    }
    this.kept -= buffer.byteLength;
    return new Uint8Array(buffer, 0, size);
  }

  /** The smallest that is kept and fits. */
  private keptFor(room: number): SharedArrayBuffer | undefined {
    const fitting = [...this.shelves]
      .filter(([kept, shelf]) => shelf.length > 0 && kept >= room && kept * LEAST_USE <= room)
      .map(([kept]) => kept);
    return fitting.length > 0 ? this.shelves.get(Math.min(...fitting))!.pop() : undefined;
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
    this.press(this.kept);
    this.kept = 0;
  }

  /**
   * Have garbage collected now and then, since V8 does not count shared memory, and would see no reason to collect
   * what is not needed any more. Where it can't be told to, it is made to count ordinary buffers of the same
   * size instead.
   */
  private press(bytes: number): void {
    if (this.collect === undefined) {
      if (bytes > 0) new ArrayBuffer(bytes);
      return;
    }
    this.pressure += bytes;
    if (this.pressure < COLLECT_EVERY) return;
    this.pressure = 0;
    this.collect('all');
  }
}
