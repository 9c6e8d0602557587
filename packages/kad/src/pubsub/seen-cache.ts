/**
 * Remembers IDs for at least a given time, and at most twice that, in bounded memory. When it is
 * full it takes no more, instead of forgetting: what is forgotten could be delivered twice.
 */
export class SeenCache {
  private current = new Set<string>();
  private previous = new Set<string>();
  private turned: number;

  /**
   * @param keepMs - how long an ID is remembered at least, in milliseconds
   * @param limit - the most IDs in `keepMs`
   */
  constructor(
    private readonly keepMs: number,
    private readonly limit: number,
    now: number,
  ) {
    this.turned = now;
  }

  has(id: string): boolean {
    return this.current.has(id) || this.previous.has(id);
  }

  /** Whether there is room for another. */
  hasRoom(now: number): boolean {
    this.turn(now);
    return this.current.size < this.limit;
  }

  /** Take note of an ID; false when it was there, or there is no room. */
  add(id: string, now: number): boolean {
    if (this.has(id) || !this.hasRoom(now)) return false;
    this.current.add(id);
    return true;
  }

  get size(): number {
    return this.current.size + this.previous.size;
  }

  private turn(now: number): void {
    if (now - this.turned < this.keepMs) return;
    // Nothing came for two turns: what is left is old as well.
    const idle = now - this.turned >= 2 * this.keepMs;
    this.previous = idle ? new Set() : this.current;
    this.current = new Set();
    this.turned = now;
  }
}
