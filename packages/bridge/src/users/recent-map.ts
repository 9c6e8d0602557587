/** A map of bounded size: what was asked for longest ago goes first. */
export class RecentMap<V> {
  private readonly entries = new Map<string, V>();

  /** @param most - entries */
  constructor(private readonly most: number) {}

  /** The entry of a key; it is made when there is none. */
  get(key: string, make: () => V): V {
    const found = this.entries.get(key);
    const value = found ?? make();
    this.entries.delete(key);
    this.entries.set(key, value);
    if (this.entries.size > this.most) {
      const [oldest] = this.entries.keys();
      this.entries.delete(oldest!);
    }
    return value;
  }

  get size(): number {
    return this.entries.size;
  }
}
