import { columns, measureWorld, round } from './lookups.js';
import { fitLine } from './measure.js';
import type { Scenario } from './scenario.js';
import { World } from './world.js';

/** Lookups in networks of growing size in which nobody goes. */
export const growth: Scenario = {
  summary: 'hops, messages and latency of lookups as the network grows, without churn',
  plot: {
    title: 'Lookups without churn',
    x: 'nodes',
    y: 'hops',
    xLabel: 'nodes',
    yLabel: 'hops (mean)',
    logX: true,
  },
  async run(settings, report) {
    const { nodes: sizes = [100, 1000, 10_000, 50_000], lookups = 1000, minutes = 2 } = settings;
    const { seed, start, loss, clients, wrong, warmup = 0 } = settings;
    const points: { nodes: number; hops: number; messages: number; p50: number }[] = [];
    for (const nodes of sizes) {
      const began = performance.now();
      const world = await World.create({ nodes, seed, start, loss, clients, wrong });
      await world.minutes(warmup);
      const built = performance.now();
      const summary = await measureWorld(world, lookups, minutes);
      points.push({ nodes, ...summary });
      report.row({
        nodes,
        ...columns(summary),
        'to build s': round((built - began) / 1000, 1),
        'to measure s': round((performance.now() - built) / 1000, 1),
      });
    }
    if (points.length < 3) return;
    for (const of of ['hops', 'messages', 'p50'] as const) {
      const { intercept, slope, r2 } = fitLine(points.map((p) => [Math.log2(p.nodes), p[of]]));
      report.note(
        `${of} = ${intercept.toFixed(2)} + ${slope.toFixed(3)} log2(nodes), R² = ${r2.toFixed(3)}`,
      );
    }
  },
};
