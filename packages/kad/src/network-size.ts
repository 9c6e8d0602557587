import type { Contact } from './contact.js';
import type { NodeId } from './node-id.js';

/**
 * How many nodes a network has, about, from how near the nearest are: IDs are spread evenly, so that
 * the m-th nearest of n nodes is at about m/n of the whole space.
 *
 * @param nearest - the contacts nearest to `own`, all that there are when they are few
 */
export function estimateNodes(own: NodeId, nearest: readonly Contact[]): number {
  const here = BigInt(`0x${own}`);
  let farthest = 0;
  for (const { nodeId } of nearest) {
    const fraction = Number((BigInt(`0x${nodeId}`) ^ here) >> 204n) / 2 ** 52;
    farthest = Math.max(farthest, fraction);
  }
  return farthest === 0 ? nearest.length : Math.max(nearest.length, nearest.length / farthest);
}
