import {
  ChurnFilter,
  Departures,
  type KademliaOptions,
  type Plugin,
  plainKademliaOptions,
  weibullSessions,
} from '@granary/kad';
import { columns, measureWorld } from './lookups.js';
import type { Scenario } from './scenario.js';
import { World } from './world.js';

interface Variant {
  readonly name: string;
  readonly kademlia?: Partial<KademliaOptions>;
  readonly bare?: boolean;
  readonly plugins?: () => Plugin[];
}

const MINUTE = 60_000;
const variants: Variant[] = [
  { name: 'defaults' },
  { name: 'plain Kademlia', kademlia: plainKademliaOptions, bare: true },
  { name: 'k = 8', kademlia: { k: 8 } },
  { name: 'k = 16', kademlia: { k: 16 } },
  { name: 'k = 32', kademlia: { k: 32 } },
  { name: 'paths = 1', kademlia: { paths: 1 } },
  { name: 'paths = 2', kademlia: { paths: 2 } },
  { name: 'paths = 6', kademlia: { paths: 6 } },
  { name: 'paths = 8, alpha = 8', kademlia: { paths: 8, alpha: 8 } },
  { name: 'alpha = 1, paths = 1', kademlia: { alpha: 1, paths: 1 } },
  { name: 'alpha = 3', kademlia: { alpha: 3 } },
  { name: 'alpha = 9', kademlia: { alpha: 9 } },
  { name: 'alpha = 12', kademlia: { alpha: 12 } },
  { name: 'siblings = 0', kademlia: { siblings: 0 } },
  { name: 'siblings = 20', kademlia: { siblings: 20 } },
  { name: 'siblings = 80', kademlia: { siblings: 80 } },
  { name: 'siblingRefreshMs = 2 min', kademlia: { siblingRefreshMs: 2 * MINUTE } },
  { name: 'siblingRefreshMs = 5 min', kademlia: { siblingRefreshMs: 5 * MINUTE } },
  { name: 'siblingRefreshMs = never', kademlia: { siblingRefreshMs: Infinity } },
  { name: 'patienceMs = 500', kademlia: { patienceMs: 500 } },
  { name: 'patienceMs = 2000', kademlia: { patienceMs: 2000 } },
  { name: 'patienceMs = never', kademlia: { patienceMs: Infinity } },
  { name: 'timeoutMs = 2000', kademlia: { timeoutMs: 2000 } },
  { name: 'staleMs = 2 min', kademlia: { staleMs: 2 * MINUTE } },
  { name: 'staleMs = 30 min', kademlia: { staleMs: 30 * MINUTE } },
  { name: 'staleMs = never', kademlia: { staleMs: Infinity } },
  { name: 'refreshMs = 15 min', kademlia: { refreshMs: 15 * MINUTE } },
  { name: 'no down-lists', bare: true, plugins: () => [new Departures()] },
  { name: 'churn filter', plugins: () => [new ChurnFilter()] },
];

/** Each parameter varied alone, under churn. */
export const parameters: Scenario = {
  summary: 'what each parameter does to lookups under churn, each varied alone',
  plot: {
    title: 'Parameters under churn',
    x: 'p95 ms',
    y: 'variant',
    xLabel: 'lookup time, 95th percentile, ms',
    yLabel: '',
    bars: true,
  },
  async run(settings, report) {
    const { nodes: [nodes = 1000] = [], sessions: [median = 15] = [], only } = settings;
    const { lookups = 1000, minutes = 5, warmup = 30 } = settings;
    const { seed, loss, clients, wrong, graceful } = settings;
    const start = settings.start === 'auto' ? 'warm' : settings.start;
    for (const { name, ...variant } of variants) {
      if (only !== undefined && !only.some((wanted) => name.startsWith(wanted))) continue;
      const world = await World.create({ nodes, seed, start, loss, clients, wrong, ...variant });
      const churn = world.churn({ sessions: weibullSessions(median * MINUTE), graceful });
      await world.minutes(warmup);
      const summary = await measureWorld(world, lookups, minutes);
      churn.stop();
      report.row({ variant: name, nodes, 'median session min': median, ...columns(summary) });
    }
  },
};
