import { columns, measureWorld, round } from './lookups.js';
import type { Scenario } from './scenario.js';
import { World } from './world.js';

const MiB = 2 ** 20;

/** What a network costs the machine that simulates it. */
export const memory: Scenario = {
  summary: 'memory and time of the simulation itself',
  plot: {
    title: 'Memory of the simulation',
    x: 'nodes',
    y: 'MiB in use',
    xLabel: 'nodes',
    yLabel: 'MiB',
    logX: true,
    logY: true,
  },
  async run(settings, report) {
    const { nodes: sizes = [1000, 10_000, 50_000], lookups = 200, minutes = 1, seed } = settings;
    const { start, loss, clients, wrong } = settings;
    for (const nodes of sizes) {
      const began = performance.now();
      const world = await World.create({ nodes, seed, start, loss, clients, wrong });
      const built = performance.now();
      const requests = world.simulation.network.requests;
      const summary = await measureWorld(world, lookups, minutes);
      const wall = performance.now() - built;
      const { rss, heapUsed } = process.memoryUsage();
      report.row({
        nodes,
        'MiB in use': Math.round(heapUsed / MiB),
        'MiB resident': Math.round(rss / MiB),
        'KiB a node': round(rss / 1024 / nodes, 1),
        'to build s': round((built - began) / 1000, 1),
        'wall s a virtual minute': round(wall / 1000 / Math.max(minutes, 1), 1),
        'µs a request': round((wall * 1000) / (world.simulation.network.requests - requests), 1),
        ...columns(summary),
      });
    }
  },
};
