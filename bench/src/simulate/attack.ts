import {
  Collusion,
  type KademliaNode,
  type KademliaOptions,
  SeededRandom,
  plainKademliaOptions,
  warmStart,
} from '@granary/kad';
import { percent, round } from './lookups.js';
import { type Outcome, measureLookup, randomKey, spread, summarise } from './measure.js';
import type { Scenario } from './scenario.js';
import { World } from './world.js';

/** Forged identities of each attacker, one port each. */
const FORGED = 10;
/** Lookups of one asker: what it learns in them is forgotten with it. */
const PER_ASKER = 5;

/** How an asker looks things up. */
interface Variant {
  readonly name: string;
  readonly options: Partial<KademliaOptions>;
}

/** Without limits for address groups, as in the paper, except for our own default. */
const paths = (d: number): Variant => ({
  name: `S/Kademlia d=${d}`,
  options: { paths: d, alpha: Math.max(6, d), perGroup: Infinity },
});

const networks: Record<string, { bare: boolean; options: object; variants: Variant[] }> = {
  plain: {
    bare: true,
    options: plainKademliaOptions,
    variants: [{ name: 'plain Kademlia', options: plainKademliaOptions }],
  },
  secure: {
    bare: false,
    options: {},
    variants: [...[1, 2, 4, 8].map(paths), { name: 'our defaults', options: {} }],
  },
};

/** What a share of attackers does to lookups, and what disjoint paths do about it. */
export const attack: Scenario = {
  summary: 'lookups with 5 to 30 % of malicious nodes that drop, misroute or lie',
  plot: {
    title: 'Lookups under attack',
    x: 'malicious %',
    y: 'node found %',
    line: 'lookup',
    panel: 'attack',
    xLabel: 'malicious nodes, %',
    yLabel: 'closest honest node found, %',
    yDomain: [0, 100],
  },
  async run(settings, report) {
    const { nodes: [nodes = 10_000] = [], seed, lookups = 200, only } = settings;
    const { malicious = [0.05, 0.1, 0.2, 0.3] } = settings;
    const kinds = (['drop', 'misroute', 'lie'] as const).filter(
      (kind) => only === undefined || only.includes(kind),
    );
    for (const { bare, options, variants } of Object.values(networks)) {
      const collusion = new Collusion(20);
      // A network at rest, as in the paper: nothing is refreshed, and what attackers do spoils
      // lookups, not routing tables.
      const still = { ...options, maintenanceMs: Infinity, siblingRefreshMs: Infinity };
      const plugins = () => [collusion.plugin()];
      const world = await World.create({
        nodes,
        seed,
        start: settings.start === 'auto' ? 'warm' : settings.start,
        kademlia: still,
        bare,
        plugins,
      });
      const { simulation, census } = world;
      const random = new SeededRandom(`${seed} attack`);
      const honest = random.shuffle([...world.nodes]);
      const keys = await spread(simulation, lookups, 120_000, () =>
        random
          .pick(honest)
          .put(random.bytes(64))
          .then(({ key }) => key),
      );
      for (const share of malicious) {
        while (honest.length > nodes * (1 - share)) {
          const { contact } = honest.pop()!;
          census.remove(contact.nodeId);
          collusion.add(contact);
          collusion.forge(simulation, contact, FORGED, random);
        }
        for (const kind of kinds) {
          for (const { name, options: variant } of variants) {
            collusion.attack(undefined);
            const asker = async () => {
              const node = simulation.node({
                reachable: false,
                bare,
                kademlia: { ...still, ...variant },
              });
              await node.start();
              warmStart([node], world.nodes, simulation.random, simulation.clock.now());
              return node;
            };
            const askers: KademliaNode[] = [];
            for (let i = 0; i < lookups; i += PER_ASKER) askers.push(await asker());
            collusion.attack(kind);
            let turn = 0;
            const outcomes: Outcome[] = await spread(simulation, lookups, 20_000, () =>
              measureLookup(
                simulation,
                askers[(turn += 1) % askers.length]!,
                randomKey(simulation),
                census,
              ),
            );
            const values = await spread(simulation, lookups, 20_000, () =>
              askers[(turn += 1) % askers.length]!.get(keys[turn % keys.length]!).then(
                () => true,
                () => false,
              ),
            );
            await Promise.all(askers.map((node) => node.stop()));
            const { found, share: part, messages, hops, p50 } = summarise(outcomes);
            report.row({
              attack: kind,
              'malicious %': Math.round(share * 100),
              lookup: name,
              lookups,
              'node found %': percent(found),
              'of the k closest honest %': percent(part),
              'value found %': percent(values.filter(Boolean).length / values.length),
              hops: round(hops, 2),
              messages: round(messages, 1),
              'p50 ms': Math.round(p50),
            });
          }
        }
      }
    }
  },
};
