import {
  Collusion,
  type Identity,
  type KademliaNode,
  SeededRandom,
  grindIdentities,
  plainKademliaOptions,
} from '@granary/kad';
import { percent, round } from './lookups.js';
import { mean, spread } from './measure.js';
import type { Scenario } from './scenario.js';
import { World } from './world.js';

/** Everybody who comes later is asked by somebody: time for hourly refreshes and republishing. */
const MINUTES = 75;

/** Attackers with identities nearer to one key than any honest node, and what is left of its value. */
export const eclipse: Scenario = {
  summary: 'a targeted eclipse of one key by attackers with identities made for it',
  plot: {
    title: 'One value under eclipse',
    x: 'attackers',
    y: 'found %',
    line: 'network',
    panel: 'prefixes',
    xLabel: 'attackers nearer to the key than any honest node',
    yLabel: 'value found, %',
    yDomain: [0, 100],
  },
  async run(settings, report) {
    const { nodes: [nodes = 1000] = [], seed, lookups = 100, minutes = MINUTES } = settings;
    const networks = [
      { network: 'plain Kademlia', bare: true, kademlia: plainKademliaOptions },
      { network: 'our defaults', bare: false, kademlia: {} },
    ];
    for (const { network, bare, kademlia } of networks) {
      for (const prefixes of ['one /24', 'a /24 each']) {
        for (const attackers of [0, 20, 40, 80]) {
          if (attackers === 0 && prefixes !== 'one /24') continue;
          const world = await World.create({
            nodes,
            seed,
            kademlia,
            bare,
            start: settings.start === 'auto' ? 'warm' : settings.start,
          });
          const { simulation, nodes: honest, census } = world;
          const random = new SeededRandom(`${seed} eclipse`);
          const collusion = new Collusion(20);
          const publisher = random.pick(honest);
          const { key } = await simulation.clock.settle(publisher.put(random.bytes(64)));
          // The publisher has its value for ever: it is not there when the others look for it.
          await publisher.stop();
          honest.splice(honest.indexOf(publisher), 1);
          const [nearest] = census.closest(key, 1);
          const { identities, tries } = grindIdentities(attackers, key, nearest!, random);
          collusion.attack('misroute');
          const enter = async (identity: Identity, i: number): Promise<KademliaNode> => {
            const node = simulation.node({
              identity,
              bare,
              kademlia,
              plugins: [collusion.plugin()],
              ip: prefixes === 'one /24' ? `19.1.1.${i + 1}` : `19.2.${i + 1}.1`,
            });
            await simulation.join(node, honest);
            collusion.add(node.contact);
            return node;
          };
          await simulation.clock.settle(Promise.all(identities.map(enter)));
          await world.minutes(minutes);
          const turns = random.shuffle([...honest]).slice(0, lookups);
          const count = turns.length;
          const results = await spread(simulation, count, 60_000, () => {
            const asker = turns.pop()!;
            const own = world.holds(asker, key);
            return asker.get(key).then(
              () => ({ found: 1, own }),
              () => ({ found: 0, own }),
            );
          });
          const others = results.filter(({ own }) => !own);
          report.row({
            network,
            prefixes: attackers === 0 ? '–' : prefixes,
            attackers,
            nodes,
            'identities made': tries,
            read: others.length,
            'found %': percent(mean(others.map(({ found }) => found))),
            'honest copies': honest.filter((node) => world.holds(node, key)).length,
            hours: round(minutes / 60, 2),
          });
        }
      }
    }
  },
};
