import { weibullSessions } from '@granary/kad';
import { columns, measureWorld, round } from './lookups.js';
import type { Scenario } from './scenario.js';
import { World } from './world.js';

/** Lookups while nodes come and go. */
export const churn: Scenario = {
  summary: 'the same under churn: median sessions of 60, 15 and 5 minutes',
  plot: {
    title: 'Lookups under churn',
    x: 'median session min',
    y: 'found %',
    line: 'nodes',
    xLabel: 'median session in minutes',
    yLabel: 'lookups that found the closest node, %',
    logX: true,
  },
  async run(settings, report) {
    const { nodes: sizes = [100, 1000, 10_000], sessions = [60, 15, 5] } = settings;
    const { seed, start, loss, clients, wrong, graceful } = settings;
    const { lookups = 1000, minutes = 5, warmup = 20 } = settings;
    for (const nodes of sizes) {
      for (const median of sessions) {
        const began = performance.now();
        const world = await World.create({ nodes, seed, start, loss, clients, wrong });
        const driver = world.churn({ sessions: weibullSessions(median * 60_000), graceful });
        await world.minutes(warmup);
        const summary = await measureWorld(world, lookups, minutes);
        report.row({
          nodes,
          'median session min': median,
          ...columns(summary),
          gone: driver.gone,
          'wall s': round((performance.now() - began) / 1000, 1),
        });
        driver.stop();
      }
    }
  },
};
