import { measureWorld } from '../simulate/lookups.js';
import { World } from '../simulate/world.js';
import type { Point } from './curve.js';

const LOOKUPS = 200;
const MINUTES = 2;

/** Hops and messages of a lookup, by the nodes of the network; simulated. */
export async function nodeCounts(
  most: number,
  report: (line: string) => void,
): Promise<{ hops: Point[]; messages: Point[] }> {
  const hops: Point[] = [];
  const messages: Point[] = [];
  for (let n = 100; n <= most; n = Math.round(n * Math.sqrt(10))) {
    const settings = { seed: 'growth', start: 'auto', loss: 0, clients: 0, wrong: 0 } as const;
    const world = await World.create({ nodes: n, ...settings });
    const summary = await measureWorld(world, LOOKUPS, MINUTES);
    hops.push({ n, cost: summary.hops });
    messages.push({ n, cost: summary.messages });
    report(
      `  ${String(n).padStart(9)} nodes: ${summary.hops.toFixed(2)} hops, ${summary.messages.toFixed(1)} messages a lookup`,
    );
  }
  return { hops, messages };
}
