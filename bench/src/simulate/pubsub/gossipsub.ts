import {
  type Contact,
  type Plugin,
  type PluginHooks,
  type PluginHost,
  type Publication,
  hashTopic,
  makePublication,
  parsePublication,
} from '@granary/kad';

/** Parameters with the values of the specification (gossipsub v1.0 and v1.1). */
export const gossipSubParameters = {
  D: 6,
  Dlo: 5,
  Dhi: 12,
  Dout: 2,
  Dlazy: 6,
  gossipFactor: 0.25,
  heartbeatMs: 1_000,
  mcacheLength: 5,
  mcacheGossip: 3,
  pruneBackoffMs: 60_000,
  floodPublish: true,
} as const;

/**
 * Who is connected to whom, and so knows of whose subscriptions: each subscriber dials so many other
 * subscribers of the topic, at random. Finding and connecting them, and the exchange of subscriptions,
 * cost nothing here, which is in favour of GossipSub.
 */
export class GossipSubDiscovery {
  private readonly subscribers = new Map<string, Map<string, GossipSub>>();

  constructor(
    private readonly pick: (below: number) => number,
    readonly dials = 10,
  ) {}

  enter(topic: string, peer: GossipSub): void {
    const all = this.subscribers.get(topic) ?? new Map<string, GossipSub>();
    this.subscribers.set(topic, all);
    all.set(peer.contact.nodeId, peer);
    this.dial(topic, peer);
  }

  exit(topic: string, nodeId: string): void {
    this.subscribers.get(topic)?.delete(nodeId);
  }

  /** Connect a peer to others until it has dialled enough. */
  dial(topic: string, peer: GossipSub): void {
    const others = [...(this.subscribers.get(topic)?.values() ?? [])];
    for (let tries = 0; tries < 4 * this.dials && others.length > 1; tries += 1) {
      if (peer.connected(topic) >= Math.min(this.dials, others.length - 1)) return;
      const other = others[this.pick(others.length)]!;
      if (other === peer || !other.running) continue;
      peer.connect(topic, other.contact, true);
      other.connect(topic, peer.contact, false);
    }
  }
}

interface Topic {
  /** Subscribers that we are connected to; true: we dialled. */
  readonly peers: Map<string, { contact: Contact; outbound: boolean }>;
  readonly mesh: Set<string>;
  readonly backoff: Map<string, number>;
  readonly deliver: (publication: Publication) => void;
  /** Message IDs of the last heartbeats, newest first. */
  history: string[][];
}

/**
 * A model of GossipSub v1.1 (libp2p specifications, pubsub/gossipsub) over this package's calls: mesh
 * maintenance, lazy gossip, IWANT, PRUNE with backoff, outbound quota, flood publishing. Scores are
 * all 0 among honest peers, so that choices by score are choices by chance, and opportunistic grafting
 * has nothing to do. Fanout is not modelled: publishers subscribe.
 */
export class GossipSub implements Plugin {
  readonly name = 'gossipsub';
  private readonly topics = new Map<string, Topic>();
  private readonly seen = new Set<string>();
  private readonly messages = new Map<string, Publication>();
  private host: PluginHost | undefined;
  private timer: unknown;
  private stopped = false;

  constructor(private readonly discovery: GossipSubDiscovery) {}

  get contact(): Contact {
    return this.host!.node.contact;
  }

  get running(): boolean {
    return !this.stopped && this.host!.node.running;
  }

  connected(topic: string): number {
    return this.topics.get(topic)?.peers.size ?? 0;
  }

  connect(topic: string, contact: Contact, outbound: boolean): void {
    const { peers } = this.topics.get(topic)!;
    if (!peers.has(contact.nodeId)) peers.set(contact.nodeId, { contact, outbound });
  }

  install(host: PluginHost): PluginHooks {
    this.host = host;
    type Message = { topic: string; ids: string[]; publication: unknown };
    const method =
      (run: (message: Message, sender: string) => void) =>
      async (params: unknown, { sender }: { sender: Contact }) => {
        run(params as Message, sender.nodeId);
        return {};
      };
    return {
      methods: {
        GOSSIP_PUBLISH: method(({ publication }, from) => this.take(publication, from)),
        GOSSIP_GRAFT: method(({ topic }, from) => this.onGraft(topic, from)),
        GOSSIP_PRUNE: method(({ topic }, from) => this.onPrune(topic, from)),
        GOSSIP_IHAVE: method(({ topic, ids }, from) => {
          const wanted = ids.filter((id) => !this.seen.has(id));
          if (wanted.length > 0) this.send(topic, from, 'GOSSIP_IWANT', { topic, ids: wanted });
        }),
        GOSSIP_IWANT: method(({ topic, ids }, from) => {
          for (const id of ids) {
            const publication = this.messages.get(id)?.wire;
            if (publication !== undefined)
              this.send(topic, from, 'GOSSIP_PUBLISH', { publication });
          }
        }),
      },
      start: () => {
        const first = this.below(gossipSubParameters.heartbeatMs);
        this.timer = host.clock.setTimeout(() => this.beat(), first);
      },
      stop: () => {
        this.stopped = true;
        host.clock.clearTimeout(this.timer);
        for (const topic of this.topics.keys()) this.discovery.exit(topic, host.identity.nodeId);
      },
    };
  }

  join(name: string, deliver: (publication: Publication) => void): void {
    const topic = hashTopic(name);
    this.topics.set(topic, {
      peers: new Map(),
      mesh: new Set(),
      backoff: new Map(),
      deliver,
      history: [[]],
    });
    this.discovery.enter(topic, this);
    // "JOIN(topic)": D peers are grafted at once.
    this.graft(topic, gossipSubParameters.D, () => true);
  }

  leave(name: string): void {
    const topic = hashTopic(name);
    const state = this.topics.get(topic);
    for (const peer of state?.mesh ?? []) this.send(topic, peer, 'GOSSIP_PRUNE', { topic });
    this.topics.delete(topic);
    this.discovery.exit(topic, this.contact.nodeId);
  }

  publish(name: string, payload: Uint8Array): string {
    const topic = hashTopic(name);
    const { identity, clock, random } = this.host!;
    const publication = makePublication(identity, topic, payload, { time: clock.now(), random });
    this.remember(publication);
    const state = this.topics.get(topic)!;
    const to = gossipSubParameters.floodPublish ? [...state.peers.keys()] : [...state.mesh];
    for (const peer of to) {
      this.send(topic, peer, 'GOSSIP_PUBLISH', { publication: publication.wire });
    }
    return publication.id;
  }

  private take(wire: unknown, from: string): void {
    const publication = parsePublication(wire);
    const state = this.topics.get(publication.topic);
    if (state === undefined || this.seen.has(publication.id)) return;
    this.remember(publication);
    state.deliver(publication);
    for (const peer of state.mesh) {
      if (peer === from) continue;
      this.send(publication.topic, peer, 'GOSSIP_PUBLISH', { publication: publication.wire });
    }
  }

  private remember(publication: Publication): void {
    this.seen.add(publication.id);
    this.messages.set(publication.id, publication);
    this.topics.get(publication.topic)?.history[0]!.push(publication.id);
  }

  private onGraft(topic: string, from: string): void {
    const state = this.topics.get(topic);
    const peer = state?.peers.get(from);
    const now = this.host!.clock.now();
    const full = (state?.mesh.size ?? 0) >= gossipSubParameters.Dhi && peer?.outbound !== true;
    if (state === undefined || peer === undefined || full || (state.backoff.get(from) ?? 0) > now) {
      this.send(topic, from, 'GOSSIP_PRUNE', { topic });
      return;
    }
    state.mesh.add(from);
  }

  private onPrune(topic: string, from: string): void {
    const state = this.topics.get(topic);
    state?.mesh.delete(from);
    const until = this.host!.clock.now() + gossipSubParameters.pruneBackoffMs;
    state?.backoff.set(from, until);
  }

  private beat(): void {
    const { clock } = this.host!;
    for (const topic of this.topics.keys()) this.beatTopic(topic);
    this.timer = clock.setTimeout(() => this.beat(), gossipSubParameters.heartbeatMs);
  }

  private beatTopic(topic: string): void {
    const state = this.topics.get(topic)!;
    const { D, Dlo, Dhi, Dout, Dlazy, gossipFactor } = gossipSubParameters;
    const { mcacheGossip, mcacheLength, pruneBackoffMs } = gossipSubParameters;
    const now = this.host!.clock.now();
    if (state.mesh.size < Dlo) this.graft(topic, D - state.mesh.size, () => true);
    const isOutbound = (peer: string) => state.peers.get(peer)?.outbound === true;
    if (state.mesh.size > Dhi) {
      // D stay, of which Dout are ones that we dialled, if there are so many.
      const order = this.shuffled([...state.mesh]);
      const kept = new Set(order.filter(isOutbound).slice(0, Dout));
      for (const peer of order) if (kept.size < D) kept.add(peer);
      for (const peer of order) {
        if (kept.has(peer)) continue;
        state.mesh.delete(peer);
        state.backoff.set(peer, now + pruneBackoffMs);
        this.send(topic, peer, 'GOSSIP_PRUNE', { topic });
      }
    }
    const outbound = [...state.mesh].filter(isOutbound).length;
    if (state.mesh.size >= Dlo && outbound < Dout) this.graft(topic, Dout - outbound, isOutbound);
    const ids = state.history.slice(0, mcacheGossip).flat();
    if (ids.length > 0) {
      const others = this.shuffled([...state.peers.keys()].filter((peer) => !state.mesh.has(peer)));
      const count = Math.max(Dlazy, Math.floor(gossipFactor * others.length));
      for (const peer of others.slice(0, count)) {
        this.send(topic, peer, 'GOSSIP_IHAVE', { topic, ids });
      }
    }
    state.history.unshift([]);
    for (const id of state.history.splice(mcacheLength).flat()) this.messages.delete(id);
  }

  private graft(topic: string, count: number, fits: (peer: string) => boolean): void {
    const state = this.topics.get(topic)!;
    const now = this.host!.clock.now();
    const open = [...state.peers.keys()].filter(
      (peer) => !state.mesh.has(peer) && (state.backoff.get(peer) ?? 0) <= now && fits(peer),
    );
    for (const peer of this.shuffled(open).slice(0, count)) {
      state.mesh.add(peer);
      this.send(topic, peer, 'GOSSIP_GRAFT', { topic });
    }
  }

  private send(topic: string, peer: string, method: string, params: unknown): void {
    const state = this.topics.get(topic);
    const contact = state?.peers.get(peer)?.contact;
    if (state === undefined || contact === undefined) return;
    // A connection that breaks is noticed when it is used, as in the other protocols.
    this.host!.node.call(contact, method, params, { timeoutMs: 4_000 }).catch(() => {
      if (this.stopped) return;
      state.peers.delete(peer);
      state.mesh.delete(peer);
      this.discovery.exit(topic, peer);
      if (this.topics.get(topic) === state) this.discovery.dial(topic, this);
    });
  }

  private below(below: number): number {
    const [a, b, c, d] = this.host!.random(4);
    return Math.floor(((((a! << 24) | (b! << 16) | (c! << 8) | d!) >>> 0) / 2 ** 32) * below);
  }

  private shuffled<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i -= 1) {
      const j = this.below(i + 1);
      [items[i], items[j]] = [items[j]!, items[i]!];
    }
    return items;
  }
}
