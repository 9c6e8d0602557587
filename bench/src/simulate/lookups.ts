import { type Summary, measureLookup, randomKey, spread, summarise } from './measure.js';
import type { World } from './world.js';

/** Lookups of random keys by random nodes, spread over virtual time. */
export async function measureWorld(
  world: World,
  lookups: number,
  minutes: number,
): Promise<Summary & { perNodeMinute: number }> {
  const { simulation, nodes, census } = world;
  const { network, clock } = simulation;
  const [requests, began] = [network.requests, clock.now()];
  const outcomes = await spread(simulation, lookups, minutes * 60_000, () =>
    measureLookup(simulation, simulation.random.pick(nodes), randomKey(simulation), census),
  );
  const asked = outcomes.reduce((sum, { messages }) => sum + messages, 0);
  const passed = (clock.now() - began) / 60_000;
  return {
    ...summarise(outcomes),
    // All requests but those of the lookups: joins, refreshes, pings.
    perNodeMinute: (network.requests - requests - asked) / passed / nodes.length,
  };
}

/** A summary as the columns of a table. */
export function columns(summary: Summary & { perNodeMinute: number }) {
  const { found, share, hops, hops99, messages, p50, p95, p99, lookups, perNodeMinute } = summary;
  return {
    lookups,
    'found %': percent(found),
    'of the k closest %': percent(share),
    hops: round(hops, 2),
    'hops p99': hops99,
    messages: round(messages, 1),
    'p50 ms': Math.round(p50),
    'p95 ms': Math.round(p95),
    'p99 ms': Math.round(p99),
    'other requests a node and minute': round(perNodeMinute, 2),
  };
}

export function percent(share: number): number {
  return round(100 * share, 1);
}

export function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
