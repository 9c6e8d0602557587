import { Identity } from '../identity.js';
import type { KademliaOptions } from '../kademlia-options.js';
import { defaultKademliaOptions } from '../kademlia-options.js';
import { KademliaNode } from '../kademlia-node.js';
import type { Plugin } from '../plugin.js';
import { MemoryValueStore, type ValueStore } from '../value-store.js';
import { SeededRandom } from './seeded-random.js';
import { SimulatedChannel } from './simulated-channel.js';
import { type NetworkConditions, SimulatedNetwork } from './simulated-network.js';
import { VirtualClock } from './virtual-clock.js';

/** What a {@link Simulation} is made of. */
export interface SimulationOptions {
  readonly seed: string;
  /** Milliseconds one way between two addresses. Default: 50, always. */
  readonly latency?: NetworkConditions['latency'];
  /** The share of messages lost each way. Default 0. */
  readonly loss?: number;
}

/** How a node of a simulation is made. */
export interface SimulatedNodeOptions {
  readonly kademlia?: Partial<KademliaOptions>;
  readonly plugins?: readonly Plugin[];
  /** Leave out the plugins that every node has, but for content addressing. */
  readonly bare?: boolean;
  /** False: behind a NAT. Default true. */
  readonly reachable?: boolean;
  /** Whether it says that it can be reached. Default: what is true. */
  readonly announces?: boolean;
  /** Where it keeps values. Default: in memory. */
  readonly storage?: ValueStore;
  /** Who it is. Default: somebody new. */
  readonly identity?: Identity;
  /** Its IP address. Default: one of its own, in a /24 of its own. */
  readonly ip?: string;
}

/** Nodes in one process on virtual time: the code of a node is that which runs on a real network. */
export class Simulation {
  readonly clock = new VirtualClock();
  readonly random: SeededRandom;
  readonly network: SimulatedNetwork;
  private addressed = 0;

  constructor({ seed, latency = () => 50, loss = 0 }: SimulationOptions) {
    this.random = new SeededRandom(seed);
    const chance = new SeededRandom(`${seed} network`);
    this.network = new SimulatedNetwork(this.clock, { latency, loss, chance: () => chance.next() });
  }

  /** A node that has not started. */
  node(options: SimulatedNodeOptions = {}): KademliaNode {
    const identity = options.identity ?? Identity.generate(this.random.bytes);
    const { timeoutMs = defaultKademliaOptions.timeoutMs } = options.kademlia ?? {};
    const ip = options.ip ?? this.nextIp();
    const { reachable = true, announces = reachable } = options;
    return new KademliaNode({
      identity,
      channel: new SimulatedChannel(this.network, identity.nodeId, ip, {
        reachable,
        announces,
        timeoutMs,
      }),
      storage: options.storage ?? new MemoryValueStore(),
      clock: this.clock,
      random: this.random.bytes,
      options: options.kademlia ?? {},
      ...(options.bare !== undefined && { bare: options.bare }),
      ...(options.plugins !== undefined && { plugins: options.plugins }),
    });
  }

  /** A public address that nobody has yet, each in a /24 of its own. */
  nextIp(): string {
    const n = (this.addressed += 1);
    // 20.0.0.0 and on: nothing that is private or loopback comes before 100.
    return `${20 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}.1`;
  }

  /**
   * Start nodes and let them join by others that are there already, so many at one time; time
   * passes while they do.
   */
  async grow(
    nodes: readonly KademliaNode[],
    there: KademliaNode[],
    atOneTime = Math.max(1, Math.ceil(nodes.length / 100)),
  ): Promise<void> {
    const waiting = [...nodes].reverse();
    if (there.length === 0) {
      const first = waiting.pop()!;
      await first.start();
      there.push(first);
    }
    const worker = async () => {
      for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
        await this.join(node, there);
        there.push(node);
      }
    };
    await this.clock.settle(Promise.all(Array.from({ length: atOneTime }, worker)));
  }

  /** Start a node and let it join by somebody; tried again with others when they don't answer. */
  async join(node: KademliaNode, there: readonly KademliaNode[]): Promise<void> {
    await node.start();
    for (let tries = 0; ; tries += 1) {
      const via = this.random.pick(there).contact.addresses[0];
      try {
        if (via !== undefined) return await node.join([via]);
      } catch (error) {
        if (tries >= 10 || !node.running) throw error;
      }
    }
  }
}
