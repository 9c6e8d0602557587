import {
  Census,
  Churn,
  type ChurnOptions,
  type KademliaNode,
  type KademliaOptions,
  MemoryValueStore,
  type Plugin,
  Simulation,
  kingLatency,
  warmStart,
} from '@granary/kad';

const MINUTE = 60_000;
/** Up to this size, networks are grown by real joins unless something else is said. */
const JOIN_UP_TO = 1000;

/** How the routing tables come about: by real joins, or filled as those of nodes that are long there. */
export type Start = 'join' | 'warm' | 'auto';

/** What a network is made of. */
export interface WorldOptions {
  readonly nodes: number;
  readonly seed: string;
  readonly start?: Start;
  readonly kademlia?: Partial<KademliaOptions>;
  /** Without the plugins that every node has, but for content addressing. */
  readonly bare?: boolean;
  /** Made anew for each node; counts the nodes from 0. */
  readonly plugins?: (index: number) => Plugin[];
  /** The share of nodes behind a NAT that are clients, 0 to 1. */
  readonly clients?: number;
  /** The share of nodes behind a NAT that wrongly say that they can be reached, 0 to 1. */
  readonly wrong?: number;
  /** The share of messages lost each way, 0 to 1. */
  readonly loss?: number;
}

/** A simulated network, and the truth about it. */
export class World {
  readonly simulation: Simulation;
  /** Everybody who has joined and is there. */
  readonly nodes: KademliaNode[] = [];
  /** The IDs of those who are to be found: they are there, and can be reached. */
  readonly census = new Census();
  private readonly hidden = new WeakSet<KademliaNode>();
  private readonly stores = new WeakMap<KademliaNode, MemoryValueStore>();
  private made = 0;

  private constructor(readonly options: WorldOptions) {
    const { seed, loss = 0 } = options;
    this.simulation = new Simulation({ seed, latency: kingLatency(seed), loss });
  }

  /** Make a network, and let a minute pass. */
  static async create(options: WorldOptions): Promise<World> {
    const world = new World(options);
    const { simulation, nodes } = world;
    const { nodes: count, start = 'auto' } = options;
    const made = Array.from({ length: count }, () => world.make());
    if (start === 'join' || (start === 'auto' && count <= JOIN_UP_TO)) {
      await simulation.grow(made, nodes);
    } else {
      for (const node of made) await node.start();
      warmStart(
        made,
        made.filter((node) => !world.hidden.has(node)),
        simulation.random,
        simulation.clock.now(),
      );
      nodes.push(...made);
    }
    for (const node of nodes) world.noted(node, true);
    await simulation.clock.run(MINUTE);
    return world;
  }

  /** A node of this network that has not started. */
  make(): KademliaNode {
    const { kademlia, bare, plugins, clients = 0, wrong = 0 } = this.options;
    const index = this.made;
    this.made += 1;
    // The first can be reached: the others join by it.
    const draw = index === 0 || clients + wrong === 0 ? 1 : this.simulation.random.next();
    const reachable = draw >= clients + wrong;
    const storage = new MemoryValueStore();
    const node = this.simulation.node({
      storage,
      reachable,
      announces: draw >= clients,
      ...(kademlia !== undefined && { kademlia }),
      ...(bare !== undefined && { bare }),
      ...(plugins !== undefined && { plugins: plugins(index) }),
    });
    this.stores.set(node, storage);
    if (!reachable) this.hidden.add(node);
    return node;
  }

  /** Whether a node keeps a value that has not expired. */
  holds(node: KademliaNode, key: string): boolean {
    const entry = this.stores.get(node)?.get(key);
    return entry !== undefined && entry.expires > this.simulation.clock.now();
  }

  /** Let nodes come and go from now on. */
  churn(options: Omit<ChurnOptions, 'make'>): Churn {
    const churn = new Churn(
      this.simulation,
      this.nodes,
      { ...options, make: () => this.make() },
      (node, there) => this.noted(node, there),
    );
    churn.start();
    return churn;
  }

  /** Let virtual time pass. */
  minutes(count: number): Promise<void> {
    return this.simulation.clock.run(count * MINUTE);
  }

  private noted(node: KademliaNode, there: boolean): void {
    if (this.hidden.has(node)) return;
    if (there) this.census.add(node.identity.nodeId);
    else this.census.remove(node.identity.nodeId);
  }
}
