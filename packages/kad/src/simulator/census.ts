import { type NodeId, compareDistance } from '../node-id.js';

/**
 * Who is on a network, as nobody on it can know: the truth that lookups are measured against. IDs are
 * kept in order, so that those nearest to a key are a short stretch.
 */
export class Census {
  private readonly sorted: NodeId[];

  constructor(ids: Iterable<NodeId> = []) {
    this.sorted = [...new Set(ids)].sort();
  }

  get size(): number {
    return this.sorted.length;
  }

  add(id: NodeId): void {
    const at = this.lowerBound(id, 0, this.sorted.length);
    if (this.sorted[at] !== id) this.sorted.splice(at, 0, id);
  }

  remove(id: NodeId): void {
    const at = this.lowerBound(id, 0, this.sorted.length);
    if (this.sorted[at] === id) this.sorted.splice(at, 1);
  }

  has(id: NodeId): boolean {
    return this.sorted[this.lowerBound(id, 0, this.sorted.length)] === id;
  }

  /** The `count` IDs closest to a target, closest first. */
  closest(target: NodeId, count: number): NodeId[] {
    let [low, high] = [0, this.sorted.length];
    for (let bit = 0; bit < 256; bit += 1) {
      const half = this.half(target, bit, low, high);
      if (half[1] - half[0] < count) break;
      [low, high] = half;
    }
    return this.sorted
      .slice(low, high)
      .sort((a, b) => compareDistance(a, b, target))
      .slice(0, count);
  }

  /**
   * For each length of a prefix, from the shortest: the IDs that share it with an ID and differ from it
   * in the next bit, that is, the candidates for one k-bucket. Ends when the ID is alone.
   */
  *buckets(id: NodeId): Iterable<{ readonly size: number; at(index: number): NodeId }> {
    let [low, high] = [0, this.sorted.length];
    for (let bit = 0; bit < 256 && high - low > 1; bit += 1) {
      const [from, to] = this.half(id, bit, low, high);
      // The half that is not ours is what is left of the stretch, before or after ours.
      const start = from > low ? low : to;
      const size = high - low - (to - from);
      yield { size, at: (index) => this.sorted[start + index]! };
      [low, high] = [from, to];
    }
  }

  /** Of a stretch of IDs that share the first `bit` bits with an ID: those that share the next, too. */
  private half(id: NodeId, bit: number, low: number, high: number): [number, number] {
    const digit = bit >> 2;
    const mask = 8 >> (bit & 3);
    const own = parseInt(id[digit]!, 16);
    // The first ID of the stretch in which the bit is set.
    const prefix = id.slice(0, digit);
    const value = ((own & ~(mask - 1)) | mask) & 15;
    const middle = this.lowerBound(`${prefix}${value.toString(16)}`, low, high);
    return (own & mask) !== 0 ? [middle, high] : [low, middle];
  }

  private lowerBound(text: string, low: number, high: number): number {
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.sorted[middle]! < text) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
