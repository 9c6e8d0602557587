import { KadError } from '../errors.js';
import { BloomFilter, type BloomShape, defaultBloomShape } from './bloom-filter.js';

/** Levels of an attenuated filter: what is 0, 1 and 2 steps away. */
export const FILTER_LEVELS = 3;

/**
 * An attenuated Bloom filter (Rhea and Kubiatowicz 2002), the routing vector of Quasar (Wong and
 * Guha 2008, section 2): level i holds what is i steps away from the node whose filter it is.
 */
export class AttenuatedFilter {
  private constructor(readonly levels: readonly BloomFilter[]) {}

  /**
   * The filter of a node: its own keys at level 0, and what its neighbours have at level i at i + 1.
   *
   * @param maxFill - a level with a larger share of bits set would say nothing: it is left empty
   */
  static of(
    own: Iterable<string>,
    neighbours: Iterable<AttenuatedFilter>,
    { levels = FILTER_LEVELS, shape = defaultBloomShape, maxFill = 1 } = {},
  ): AttenuatedFilter {
    const made = Array.from({ length: levels }, () => new BloomFilter(shape));
    for (const key of own) made[0]!.add(key);
    for (const neighbour of neighbours) {
      for (let i = 1; i < levels; i += 1) {
        const below = neighbour.levels[i - 1];
        if (below !== undefined) made[i]!.merge(below);
      }
    }
    return new AttenuatedFilter(
      made.map((level) => (level.fill > maxFill ? new BloomFilter(shape) : level)),
    );
  }

  /** The lowest level that has a key; -1 when none has. */
  levelOf(key: string): number {
    return this.levels.findIndex((level) => level.has(key));
  }

  /** The highest share of bits set in any level, 0 to 1. */
  get fill(): number {
    return Math.max(...this.levels.map((level) => level.fill));
  }

  /** A list of base64 texts, one for a level. */
  encode(): string[] {
    return this.levels.map((level) => level.encode());
  }

  /**
   * A filter from the network.
   *
   * @throws KadError KAD_BAD_PARAMETERS when it does not have exactly so many levels of that shape.
   */
  static parse(
    value: unknown,
    {
      levels = FILTER_LEVELS,
      shape = defaultBloomShape,
    }: { levels?: number; shape?: BloomShape } = {},
  ): AttenuatedFilter {
    if (!Array.isArray(value) || value.length !== levels) {
      throw new KadError('KAD_BAD_PARAMETERS', `a filter has ${levels} levels`);
    }
    return new AttenuatedFilter(value.map((level: unknown) => BloomFilter.parse(level, shape)));
  }
}
