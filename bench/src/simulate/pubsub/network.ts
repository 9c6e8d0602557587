import {
  Churn,
  type KademliaNode,
  SeededRandom,
  Simulation,
  kingLatency,
  warmStart,
  weibullSessions,
} from '@granary/kad';
import { Meter } from './meter.js';
import type { Participant, Protocol } from './protocols.js';

/** A node of the network, and what it does there. */
export interface Member {
  readonly node: KademliaNode;
  readonly participant: Participant;
}

/** What a {@link PubSubNetwork} is made of. */
export interface PubSubNetworkOptions {
  readonly seed: string;
  readonly nodes: number;
  readonly protocol: Protocol;
  /** Share of messages lost each way. */
  readonly loss: number;
  /** Median session in minutes; Infinity: nobody goes. */
  readonly session: number;
}

/**
 * A network on virtual time in which every node speaks one pub/sub protocol. Routing tables are filled
 * at first; whoever comes later joins.
 */
export class PubSubNetwork {
  readonly simulation: Simulation;
  readonly meter = new Meter();
  readonly chance: SeededRandom;
  /** Told of each member that crashed, and of each that has joined the network. */
  onChange: (member: Member, there: boolean) => void = () => undefined;
  private readonly members = new Map<KademliaNode, Member>();
  private readonly there: KademliaNode[] = [];
  private readonly make: () => Participant;

  private constructor({ seed, loss, protocol }: PubSubNetworkOptions) {
    this.chance = new SeededRandom(`${seed} groups`);
    this.simulation = new Simulation({ seed, latency: kingLatency(seed), loss });
    this.make = protocol(this.chance);
  }

  static async create(options: PubSubNetworkOptions): Promise<PubSubNetwork> {
    const network = new PubSubNetwork(options);
    const { simulation, there } = network;
    for (let i = 0; i < options.nodes; i += 1) there.push(network.node());
    for (const node of there) await node.start();
    warmStart(there, there, simulation.random, simulation.clock.now());
    if (Number.isFinite(options.session)) {
      const sessions = weibullSessions(options.session * 60_000);
      const make = () => network.node();
      new Churn(simulation, there, { sessions, make }, (node, isThere) => {
        network.onChange(network.members.get(node)!, isThere);
        if (!isThere) network.members.delete(node);
      }).start();
    }
    return network;
  }

  /** Everybody who is there. */
  get alive(): Member[] {
    return this.there.map((node) => this.members.get(node)!);
  }

  private node(): KademliaNode {
    const participant = this.make();
    const node = this.simulation.node({ plugins: [this.meter.plugin(), participant.plugin] });
    this.members.set(node, { node, participant });
    return node;
  }
}
