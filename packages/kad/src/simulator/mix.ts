/**
 * Numbers that belong to a pair of names: the same for the same seed, whichever name comes first, and
 * without anything being kept for the pair.
 */
export interface Mix {
  /** A standard normal deviate (Box and Muller 1958). */
  normal(a: string, b: string): number;
}

/** The most names of which the hash is kept. */
const MAX_KEPT = 200_000;

/** @param seed - two mixes of one seed give the same numbers */
export function createMix(seed: string): Mix {
  const hashes = new Map<string, number>();
  const hashOf = (name: string): number => {
    const known = hashes.get(name);
    if (known !== undefined) return known;
    // FNV-1a, then mixed, since names that differ in their last character differ little in it.
    let h = 2166136261;
    const text = `${seed}\0${name}`;
    for (let i = 0; i < text.length; i += 1) h = Math.imul(h ^ text.charCodeAt(i), 16777619);
    const made = finish(h);
    if (hashes.size >= MAX_KEPT) hashes.clear();
    hashes.set(name, made);
    return made;
  };
  return {
    normal: (a, b) => {
      const [x, y] = [hashOf(a), hashOf(b)];
      // Sum and XOR do not depend on the order.
      const low = finish((x + y) | 0);
      const high = finish(low ^ (x ^ y));
      const radius = Math.sqrt(-2 * Math.log(1 - low / 2 ** 32));
      return radius * Math.cos((2 * Math.PI * high) / 2 ** 32);
    },
  };
}

/** The finisher of MurmurHash3 (Appleby): every bit of the input changes half of the output. */
function finish(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
