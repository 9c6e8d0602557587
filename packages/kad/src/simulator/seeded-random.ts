/**
 * Pseudo-random numbers that are the same for the same seed: sfc32 (Chris Doty-Humphrey's PractRand).
 * For simulations only: nothing about it is secret.
 */
export class SeededRandom {
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;

  constructor(seed: string) {
    // FNV-1a over the seed, with three offsets.
    const hash = (offset: number) => {
      let h = offset;
      for (let i = 0; i < seed.length; i += 1) h = Math.imul(h ^ seed.charCodeAt(i), 16777619);
      return h >>> 0;
    };
    this.a = hash(2166136261);
    this.b = hash(84696351);
    this.c = hash(1540483477);
    for (let i = 0; i < 15; i += 1) this.uint32();
  }

  /** A whole number in [0, 2^32). */
  uint32(): number {
    const t = (this.a + this.b + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = ((this.c << 21) | (this.c >>> 11)) + t;
    return t >>> 0;
  }

  /** A number in [0, 1). */
  next(): number {
    return this.uint32() / 2 ** 32;
  }

  /** A whole number in [0, below). */
  below(below: number): number {
    return Math.floor(this.next() * below);
  }

  /** One of several. */
  pick<T>(of: readonly T[]): T {
    return of[this.below(of.length)]!;
  }

  /** Random bytes: fits a node's `random`. */
  readonly bytes = (count: number): Uint8Array => {
    const out = new Uint8Array(count);
    const view = new DataView(out.buffer);
    let at = 0;
    for (; at + 4 <= count; at += 4) view.setUint32(at, this.uint32());
    for (let rest = this.uint32(); at < count; at += 1, rest >>>= 8) out[at] = rest;
    return out;
  };

  /** A standard normal deviate (Box and Muller 1958). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
  }

  /** In place, each order as likely as any other (Fisher and Yates). */
  shuffle<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i -= 1) {
      const j = this.below(i + 1);
      [items[i], items[j]] = [items[j]!, items[i]!];
    }
    return items;
  }
}
