import { type KademliaNode, SeededRandom, Simulation, bucketIndex, ID_BITS } from '@granary/kad';
import { Meter } from './meter.js';
import type { Participant, Protocol } from './protocols.js';

/** A node of the network, and what it does there. */
export interface Member {
  readonly node: KademliaNode;
  readonly participant: Participant;
  /** Topics that it has joined, and when joining was done. */
  readonly joined: Map<string, number>;
  alive: boolean;
}

/** How long nodes stay. */
export interface Churn {
  /** Minutes. */
  readonly medianMinutes: number;
  /** Shape of the Weibull distribution; below 1 a node that has been there long stays longer. */
  readonly shape: number;
}

/** Contacts in each k-bucket. */
const K = 20;
const SIBLINGS = 40;

/**
 * A network on virtual time whose routing tables are filled as joins would fill them, without the
 * joins: only pub/sub is measured here. Latency one way: nodes are places on a plane, the way between
 * two takes 10 ms and up to 140 ms more, half of all under 75 ms, give or take a tenth.
 */
export class PubSubNetwork {
  readonly simulation: Simulation;
  readonly meter = new Meter();
  readonly members: Member[] = [];
  readonly chance: SeededRandom;
  /** Told of each node that comes in place of one that is gone. */
  onReplaced: (gone: Member, fresh: Member) => void = () => undefined;
  private readonly places = new Map<string, { x: number; y: number }>();
  private readonly make: () => Participant;
  /** Those that are there, by ID. */
  private sorted: Member[] = [];

  constructor(seed: string, protocol: Protocol) {
    this.chance = new SeededRandom(`${seed} places`);
    const jitter = new SeededRandom(`${seed} jitter`);
    this.simulation = new Simulation({
      seed,
      latency: (from, to) => {
        const a = this.place(from);
        const b = this.place(to);
        const way = 10 + 100 * Math.hypot(a.x - b.x, a.y - b.y);
        return way * (0.9 + 0.2 * jitter.next());
      },
    });
    this.make = protocol(this.chance);
  }

  get alive(): Member[] {
    return this.sorted;
  }

  /** Make and start so many nodes that know each other. */
  async build(count: number): Promise<void> {
    const fresh: Member[] = [];
    for (let i = 0; i < count; i += 1) fresh.push(this.member());
    this.sorted = [...fresh].sort(byId);
    for (const member of fresh) await member.node.start();
    this.sorted.forEach((member, at) => this.fill(member, at));
    this.members.push(...fresh);
  }

  /** From now on nodes die after their time, without a word, and others come in their place. */
  churn({ medianMinutes, shape }: Churn): void {
    const scale = (medianMinutes * 60_000) / Math.LN2 ** (1 / shape);
    const session = () => scale * (-Math.log(1 - this.chance.next())) ** (1 / shape);
    for (const member of [...this.members]) {
      // What is left of the session that is under way a long time after the beginning.
      let left = -100 * scale;
      while (left <= 0) left += session();
      this.dieAfter(member, left, session);
    }
  }

  private dieAfter(member: Member, ms: number, session: () => number): void {
    this.simulation.clock.setTimeout(() => {
      member.alive = false;
      this.sorted.splice(this.sorted.indexOf(member), 1);
      void member.node.stop();
      void this.replace(member, session);
    }, ms);
  }

  private async replace(gone: Member, session: () => number): Promise<void> {
    const fresh = this.member();
    await fresh.node.start();
    const at = this.sorted.findIndex((other) => byId(fresh, other) < 0);
    const place = at < 0 ? this.sorted.length : at;
    this.sorted.splice(place, 0, fresh);
    this.members.push(fresh);
    this.fill(fresh, place);
    // Those whom a join asks hear of it: the nearest, and some of the others.
    const now = this.simulation.clock.now();
    for (let i = place - SIBLINGS / 2; i <= place + SIBLINGS / 2; i += 1) {
      if (i !== place) this.sorted[i]?.node.routingTable.seen(fresh.node.contact, now);
    }
    for (let i = 0; i < 60; i += 1) {
      this.chance.pick(this.sorted).node.routingTable.seen(fresh.node.contact, now);
    }
    this.dieAfter(fresh, session(), session);
    this.onReplaced(gone, fresh);
  }

  private member(): Member {
    const participant = this.make();
    const node = this.simulation.node({ plugins: [this.meter.plugin(), participant.plugin] });
    return { node, participant, joined: new Map(), alive: true };
  }

  /** Fill a routing table: each k-bucket with nodes of its range by chance, and the nearest. */
  private fill({ node }: Member, at: number): void {
    const { sorted, chance } = this;
    const now = this.simulation.clock.now();
    const own = node.identity.nodeId;
    const know = (member: Member | undefined) => {
      if (member !== undefined && member.node !== node) {
        node.routingTable.seen(member.node.contact, now);
      }
    };
    for (let i = at - SIBLINGS / 2; i <= at + SIBLINGS / 2; i += 1) know(sorted[i]);
    // Nodes that share `depth` leading bits with us are a run in the order of IDs.
    let from = 0;
    let to = sorted.length;
    for (let index = ID_BITS - 1; index >= 0 && to - from > 1; index -= 1) {
      let low = from;
      let high = to;
      while (low < high && bucketIndex(own, sorted[low]!.node.identity.nodeId) === index) low += 1;
      if (low === from) {
        while (high > low && bucketIndex(own, sorted[high - 1]!.node.identity.nodeId) === index) {
          high -= 1;
        }
      }
      const [begin, end] = low > from ? [from, low] : [high, to];
      if (end - begin <= K) for (let i = begin; i < end; i += 1) know(sorted[i]);
      else for (let i = 0; i < K; i += 1) know(sorted[begin + chance.below(end - begin)]);
      [from, to] = low > from ? [low, to] : [from, high];
    }
  }

  private place(address: string): { x: number; y: number } {
    let place = this.places.get(address);
    if (place === undefined) {
      place = { x: this.chance.next(), y: this.chance.next() * 1.2 };
      this.places.set(address, place);
    }
    return place;
  }
}

function byId(a: Member, b: Member): number {
  return a.node.identity.nodeId < b.node.identity.nodeId ? -1 : 1;
}
