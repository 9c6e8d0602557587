import { type KademliaNode } from '../kademlia-node.js';
import { Simulation, type SimulatedNodeOptions, warmStart } from '../simulator/index.js';
import { PubSub } from './pubsub.js';
import type { PubSubOptions } from './pubsub-options.js';

/** A node of a simulated network with pub/sub, and what came to it. */
export interface Reader {
  readonly node: KademliaNode;
  readonly pubsub: PubSub;
  /** IDs, once for each time that the application was given one. */
  readonly got: string[];
}

/** A simulated network of nodes with pub/sub. */
export class ReaderNetwork {
  readonly simulation: Simulation;
  readonly readers: Reader[] = [];

  constructor(seed: string, loss = 0) {
    this.simulation = new Simulation({ seed, loss, latency: () => 20 + this.chance(60) });
  }

  get clock() {
    return this.simulation.clock;
  }

  chance(below: number): number {
    return this.simulation.random.below(below);
  }

  make(options: Partial<PubSubOptions> = {}, node: SimulatedNodeOptions = {}): Reader {
    const pubsub = new PubSub(options);
    return { node: this.simulation.node({ ...node, plugins: [pubsub] }), pubsub, got: [] };
  }

  /** So many nodes that know each other. */
  async build(count: number, options: Partial<PubSubOptions> = {}): Promise<Reader[]> {
    const made = Array.from({ length: count }, () => this.make(options));
    for (const { node } of made) await node.start();
    const nodes = made.map(({ node }) => node);
    warmStart(nodes, nodes, this.simulation.random, this.clock.now());
    this.readers.push(...made);
    return made;
  }

  /** A node that joins by those that are there. */
  async add(
    options: Partial<PubSubOptions> = {},
    made: SimulatedNodeOptions = {},
  ): Promise<Reader> {
    const reader = this.make(options, made);
    const there = this.readers.filter(({ node }) => node.running).map(({ node }) => node);
    await this.clock.settle(this.simulation.join(reader.node, there));
    this.readers.push(reader);
    return reader;
  }

  async subscribe(topic: string, readers: readonly Reader[]): Promise<void> {
    const all = readers.map(({ pubsub, got }) =>
      pubsub.subscribe(topic, ({ id }) => void got.push(id)),
    );
    await this.clock.settle(Promise.all(all));
    await this.clock.run(10_000);
  }

  /** Publish, and let time pass until it should be everywhere. */
  async publish(topic: string, from: Reader, ms = 5_000): Promise<{ id: string; reached: number }> {
    const publishing = from.pubsub.publish(topic, new Uint8Array([1, 2, 3]));
    await this.clock.run(ms);
    return this.clock.settle(publishing);
  }

  /** Requests of a method since the last time that this was asked. */
  requests(method: string): number {
    const now = this.simulation.network.byMethod.get(method) ?? 0;
    const count = now - (this.counted.get(method) ?? 0);
    this.counted.set(method, now);
    return count;
  }

  private readonly counted = new Map<string, number>();
}
