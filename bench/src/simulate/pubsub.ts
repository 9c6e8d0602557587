import { measureGroup } from './pubsub/measure-group.js';
import { PubSubNetwork } from './pubsub/network.js';
import { protocols } from './pubsub/protocols.js';
import type { Scenario } from './scenario.js';
import { round } from './lookups.js';

/** Groups in each network; those that are larger than it are left out. */
const GROUPS = [3, 10, 100, 1_000, 10_000] as const;

/** Our pub/sub beside Quasar as published, a GossipSub v1.1 mesh, and flooding. */
export const pubsub: Scenario = {
  summary: 'delivery, messages and latency of pub/sub protocols, with and without churn',
  plot: {
    title: 'Messages for each delivery',
    x: 'group',
    y: 'together',
    line: 'protocol',
    panel: 'session min',
    xLabel: 'members of the group',
    yLabel: 'messages',
    logX: true,
    logY: true,
  },
  async run(settings, report) {
    const { seed, loss, only, lookups: publications = 20 } = settings;
    const { nodes: sizes = [1_000, 10_000], sessions = [Infinity, 15] } = settings;
    for (const nodes of sizes) {
      const groups = [...new Set([...GROUPS.filter((size) => size < nodes), nodes])];
      for (const session of sessions) {
        for (const [name, protocol] of Object.entries(protocols)) {
          const wanted = groups.filter(
            (group) => only?.some((text) => `${name} ${group} `.startsWith(`${text} `)) !== false,
          );
          if (wanted.length === 0) continue;
          const network = await PubSubNetwork.create({ seed, nodes, protocol, loss, session });
          for (const group of wanted) {
            const figures = await measureGroup(network, group, publications);
            const [p50, p95, p99] = figures.latency;
            report.row({
              nodes,
              'session min': Number.isFinite(session) ? session : '∞',
              group,
              protocol: name,
              'delivered %': round(figures.ratio * 100, 3),
              payload: round(figures.payload, 2),
              control: round(figures.control, 2),
              together: round(figures.payload + figures.control, 2),
              bytes: Math.round(figures.bytes),
              'p50 ms': Math.round(p50),
              'p95 ms': Math.round(p95),
              'p99 ms': Math.round(p99),
              'to join': round(figures.joining, 1),
            });
          }
        }
      }
    }
    report.note('payload, control, together and bytes are for each delivery; --lookups is the');
    report.note('number of publications; --only takes protocols, or "protocol group".');
  },
};
