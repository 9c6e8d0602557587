import type { KademliaNode } from '../kademlia-node.js';
import type { SessionLengths } from './session-lengths.js';
import type { Simulation } from './simulation.js';

/** How nodes come and go. */
export interface ChurnOptions {
  readonly sessions: SessionLengths;
  /** A node that takes the place of one that went; it has not started. */
  readonly make: () => KademliaNode;
  /** The share of nodes that say goodbye, 0 to 1; the others crash. Default 0. */
  readonly graceful?: number;
}

/**
 * Churn at a constant population: each node stays for as long as its session is, and when it goes,
 * another comes in the same moment and joins by somebody who is there.
 */
export class Churn {
  private readonly timers = new Map<KademliaNode, unknown>();
  private stopped = false;
  /** Nodes that went, and nodes that came and are through with their join. */
  gone = 0;
  came = 0;

  /**
   * @param there - the nodes that are there and have joined; kept up to date
   * @param changed - is told of every node that has joined or gone
   */
  constructor(
    private readonly simulation: Simulation,
    private readonly there: KademliaNode[],
    private readonly options: ChurnOptions,
    private readonly changed: (node: KademliaNode, there: boolean) => void = () => undefined,
  ) {}

  /** Begin: what is left of the sessions of those who are there is drawn. */
  start(): void {
    const { sessions } = this.options;
    for (const node of this.there) this.schedule(node, sessions.residual(this.simulation.random));
  }

  /** Let everybody stay who is there, and nobody come. */
  stop(): void {
    this.stopped = true;
    for (const timer of this.timers.values()) this.simulation.clock.clearTimeout(timer);
    this.timers.clear();
  }

  private schedule(node: KademliaNode, ms: number): void {
    const timer = this.simulation.clock.setTimeout(() => {
      this.timers.delete(node);
      void this.depart(node);
      void this.arrive();
    }, ms);
    this.timers.set(node, timer);
  }

  private async depart(node: KademliaNode): Promise<void> {
    this.gone += 1;
    const at = this.there.indexOf(node);
    // Whoever has not joined yet is not in the list.
    if (at >= 0) {
      this.there[at] = this.there.at(-1)!;
      this.there.pop();
      this.changed(node, false);
    }
    const { graceful = 0 } = this.options;
    if (graceful > 0 && this.simulation.random.next() < graceful) await node.leave();
    await node.stop();
  }

  private async arrive(): Promise<void> {
    const { sessions, make } = this.options;
    const node = make();
    this.schedule(node, sessions.whole(this.simulation.random));
    try {
      await this.simulation.join(node, this.there);
    } catch {
      // It went before it had joined, or nobody whom it knew was there: nobody will miss it.
      return;
    }
    if (this.stopped || !node.running) return;
    this.came += 1;
    this.there.push(node);
    this.changed(node, true);
  }
}
