import { Identity } from '../identity.js';
import { type NodeId, compareDistance } from '../node-id.js';
import type { SeededRandom } from './seeded-random.js';

/**
 * Identities that are closer to a target than a given ID is, found as an attacker finds them: by
 * making identities until enough of them happen to be. Among n honest nodes each takes about n tries.
 *
 * @returns the identities, and how many had to be made
 */
export function grindIdentities(
  count: number,
  target: NodeId,
  closerThan: NodeId,
  random: SeededRandom,
): { identities: Identity[]; tries: number } {
  const identities: Identity[] = [];
  let tries = 0;
  while (identities.length < count) {
    const identity = Identity.generate(random.bytes);
    tries += 1;
    if (compareDistance(identity.nodeId, closerThan, target) < 0) identities.push(identity);
  }
  return { identities, tries };
}
