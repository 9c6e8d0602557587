import { weibullSessions } from '@granary/kad';
import { percent, round } from './lookups.js';
import { mean, spread } from './measure.js';
import type { Scenario } from './scenario.js';
import { World } from './world.js';

const HOURS = [1, 2, 4, 6, 8, 12, 16, 20, 23.5];

/** Publishers that are tried for a value, when putting it fails. */
const PUT_TRIES = 5;

/**
 * Values that are put once, while nodes come and go; their publishers go as others do. Each value is
 * read once, since reading one leaves a copy behind.
 */
export const survival: Scenario = {
  summary: 'values over 24 virtual hours under churn',
  plot: {
    title: 'Values under churn',
    x: 'hours',
    y: 'found %',
    line: 'median session min',
    xLabel: 'hours since the value was put',
    yLabel: 'values found, %',
    yDomain: [0, 100],
  },
  async run(settings, report) {
    const { nodes: [nodes = 500] = [], sessions = [60, 15, 5], lookups: reads = 100 } = settings;
    const { seed, start, loss, clients, wrong, graceful, minutes } = settings;
    const hours = minutes === undefined ? HOURS : HOURS.filter((hour) => hour * 60 <= minutes);
    for (const median of sessions) {
      const began = performance.now();
      const world = await World.create({ nodes, seed, start, loss, clients, wrong });
      const { simulation, nodes: there } = world;
      const driver = world.churn({ sessions: weibullSessions(median * 60_000), graceful });
      await world.minutes(settings.warmup ?? 30);
      const put = await spread(simulation, reads * hours.length, 10 * 60_000, async () => {
        for (let tries = 1; ; tries += 1) {
          try {
            const { key } = await simulation.random.pick(there).put(simulation.random.bytes(64));
            return key;
          } catch (error) {
            // The publisher has just come, or goes while it puts: nothing was promised, another one puts.
            if (tries === PUT_TRIES) throw error;
          }
        }
      });
      const unread = [...put];
      const since = simulation.clock.now();
      for (const hour of hours) {
        await simulation.clock.runUntil(since + hour * 3600_000);
        const copies = put.map((key) => there.filter((node) => world.holds(node, key)).length);
        const found = await spread(simulation, reads, 60_000, () =>
          simulation.random
            .pick(there)
            .get(unread.pop()!)
            .then(
              () => 1,
              () => 0,
            ),
        );
        report.row({
          nodes,
          'median session min': median,
          hours: hour,
          read: reads,
          'found %': percent(mean(found)),
          values: put.length,
          'held by somebody %': percent(mean(copies.map((count) => (count > 0 ? 1 : 0)))),
          'copies (mean)': round(mean(copies), 1),
          'wall s': round((performance.now() - began) / 1000, 1),
        });
      }
      driver.stop();
    }
  },
};
