import type { Plugin } from '../plugin.js';
import { ChurnFilter } from './churn-filter.js';
import { ProofOfWorkFilter } from './proof-of-work-filter.js';
import { RateLimits } from './rate-limits.js';

/**
 * What a node of a public network should have besides what every node has: rate limits, the churn
 * filter and, where the network asks for work, the filter for that. New plugins for each call: a
 * plugin belongs to one node.
 *
 * @param difficulty - leading zero bits that the network asks of identities; 0: none
 */
export function standardPlugins({ difficulty = 0 }: { difficulty?: number } = {}): Plugin[] {
  const plugins: Plugin[] = [new RateLimits(), new ChurnFilter()];
  if (difficulty > 0) plugins.push(new ProofOfWorkFilter(difficulty));
  return plugins;
}
