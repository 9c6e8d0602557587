import type { Random } from './random.js';
import { sha256 } from './sha256.js';

/** Random bytes that are the same in every run: SHA-256 of a seed and a counter. */
export function seededRandom(seed: string): Random {
  let counter = 0;
  return (count) => {
    const bytes = new Uint8Array(Math.ceil(count / 32) * 32);
    for (let at = 0; at < count; at += 32)
      bytes.set(sha256(Buffer.from(`${seed}/${counter++}`)), at);
    return bytes.slice(0, count);
  };
}
