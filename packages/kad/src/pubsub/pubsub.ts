import type { Contact } from '../contact.js';
import type { MethodContext } from '../dispatcher.js';
import { KadError, messageOf, throwIfAborted } from '../errors.js';
import { field, idField } from '../fields.js';
import { allowManyListeners } from '../listeners.js';
import { LruMap } from '../lru-map.js';
import { type NodeId, isNodeId } from '../node-id.js';
import type { Plugin, PluginHooks, PluginHost } from '../plugin.js';
import { parseContacts } from '../rpc.js';
import { isSilence } from '../silence.js';
import { TokenBucket } from '../token-bucket.js';
import { ClientFeed } from './client-feed.js';
import { Gradients } from './gradients.js';
import { HaveQueue } from './have-queue.js';
import { MessageCache } from './message-cache.js';
import { MAX_NAMED } from './overlay.js';
import { PeerCalls } from './peer-calls.js';
import { PeerScores } from './peer-scores.js';
import { jittered } from './pick.js';
import { type PubSubOptions, defaultPubSubOptions } from './pubsub-options.js';
import {
  type Publication,
  type PublicationWire,
  checkPublication,
  makePublication,
  parsePublication,
} from './publication.js';
import { PullDesk } from './pull-desk.js';
import { RecordStore } from './record-store.js';
import { Rendezvous } from './rendezvous.js';
import { SeenCache } from './seen-cache.js';
import { ServeBudget } from './serve-budget.js';
import { type PublicationHandler, type SubscribeOptions, Subscription } from './subscription.js';
import { parseRecord } from './subscription-record.js';
import { MAX_GRAFTED, TopicMesh } from './topic-mesh.js';
import { type TopicHash, hashTopic } from './topic.js';

/** Topics in one message. */
const MAX_TOPICS = 256;
/** IDs that new neighbours tell each other. */
const MAX_RECENT = 64;
/** Payload bytes in one answer to PUBSUB_GRAFT. */
const MAX_ANSWER_BYTES = 128 * 1024;
/** Bytes that one peer gets on request in ten seconds. */
const SERVED_BYTES = 4 * 1024 * 1024;
const SERVED_MS = 10_000;
/** How long the subscribers that a publication may enter by are remembered, in milliseconds. */
const ENTRIES_MS = 2 * 60_000;
/** How long it is remembered that there were none. */
const NO_ENTRIES_MS = 10_000;
/** The least time between two attempts to find more neighbours that came to nothing. */
const MEND_MS = 30_000;

/** What {@link PubSub} has done so far. */
export interface PubSubStats {
  /** Publications made here. */
  readonly published: number;
  /** Publications taken from others, each once. */
  readonly received: number;
  /** Publications that came when they were here already. */
  readonly duplicates: number;
  /** Publications refused: malformed, wrongly signed, too old, or too many. */
  readonly refused: number;
  /** Publications that came by being asked for. */
  readonly recovered: number;
  /** Questions asked in DHT lookups. */
  readonly lookupMessages: number;
}

/** A topic that is followed: for subscriptions, for clients, or both. */
interface Topic {
  readonly hash: TopicHash;
  readonly subscriptions: Set<Subscription>;
  readonly rate: TokenBucket;
  mesh: TopicMesh | undefined;
  ready: Promise<void>;
  announceAt: number;
  mendAt: number;
  /** Grows while nobody else is found. */
  lonelyMs: number;
  busy: boolean;
}

/**
 * Publish and subscribe. Subscribers of a topic find each other by records at the nodes closest to
 * the topic's hash, and by the gradients of Quasar; among them publications travel as in Plumtree.
 * See docs/decisions/0013-pubsub.md.
 */
export class PubSub implements Plugin {
  readonly name = 'pubsub';
  private readonly options: PubSubOptions;
  private readonly topics = new Map<TopicHash, Topic>();
  private readonly scores: PeerScores;
  private readonly publishers = new LruMap<NodeId, TokenBucket>(10_000);
  private readonly entryPoints = new LruMap<TopicHash, { contacts: Contact[]; at: number }>(256);
  private readonly haves = new HaveQueue();
  private readonly served = new ServeBudget(SERVED_BYTES, SERVED_MS);
  private readonly stopping = new AbortController();
  private readonly counts = { published: 0, received: 0, duplicates: 0, refused: 0, recovered: 0 };
  private parts: ReturnType<PubSub['assemble']> | undefined;
  private flushing = false;
  private ticking: unknown;

  constructor(options: Partial<PubSubOptions> = {}) {
    this.options = { ...defaultPubSubOptions, ...options };
    this.scores = new PeerScores(this.options.perPeer);
    allowManyListeners(this.stopping.signal);
  }

  install(host: PluginHost): PluginHooks {
    this.parts = this.assemble(host);
    const { calls } = this.parts;
    const from =
      (answer: (params: unknown, context: MethodContext) => unknown) =>
      async (params: unknown, context: MethodContext): Promise<unknown> => {
        this.scores.admit(context.sender.nodeId, host.clock.now());
        calls.heard(context.sender.nodeId);
        return answer(params, context);
      };
    return {
      methods: {
        PUBSUB_PUSH: from((params, { sender }) => this.onPush(params, sender)),
        PUBSUB_HAVE: from((params, { sender }) => this.onHave(params, sender)),
        PUBSUB_GRAFT: from((params, { sender }) => this.onGraft(params, sender)),
        PUBSUB_NEIGHBOUR: from((params, { sender }) => this.onNeighbour(params, sender)),
        PUBSUB_LEAVE: from((params, { sender }) => this.onLeave(params, sender)),
        PUBSUB_KEEP: from((params, { sender }) => this.onKeep(params, sender)),
        PUBSUB_ANNOUNCE: from((params, { sender }) => this.onAnnounce(params, sender)),
        PUBSUB_FIND: from((params, { sender }) => this.onFind(params, sender)),
        PUBSUB_FILTER: from((params, { sender }) => this.onFilter(params, sender)),
        PUBSUB_SEEK: from((params, { sender }) => this.onSeek(params, sender)),
        PUBSUB_PULL: from((params, context) => this.onPull(params, context)),
      },
      contactSilent: ({ nodeId }) => {
        for (const { mesh } of this.topics.values()) mesh?.lost(nodeId);
      },
      start: () => this.tickLater(),
      leave: async () => {
        await Promise.all([...this.topics.values()].map(async ({ mesh }) => mesh?.leave()));
      },
      stop: () => this.stop(),
    };
  }

  /**
   * Subscribe to a topic. Resolves when the node has looked for the other subscribers; there need be
   * none. A node with addresses takes part in the topic; one without has it from others that do.
   *
   * @param topic - text of 1 to 256 bytes of UTF-8
   * @param reader - a handler, or how the subscription is read
   * @throws KadError KAD_BAD_PARAMETERS; KAD_FULL for too many topics; KAD_STOPPED; KAD_ABORTED.
   */
  async subscribe(
    topic: string,
    reader: PublicationHandler | SubscribeOptions = {},
  ): Promise<Subscription> {
    const { host } = this.need();
    const options = typeof reader === 'function' ? { handler: reader } : reader;
    throwIfAborted(options.signal);
    if (!host.node.running)
      throw new KadError('KAD_STOPPED', 'start the node before you subscribe');
    const hash = hashTopic(topic);
    if (!this.topics.has(hash) && this.topics.size >= this.options.topics) {
      throw new KadError('KAD_FULL', `a node follows at most ${this.options.topics} topics`);
    }
    const state = this.follow(hash);
    const subscription: Subscription = new Subscription(topic, options, host.logger, () => {
      state.subscriptions.delete(subscription);
      this.unfollowUnused(state);
    });
    state.subscriptions.add(subscription);
    await state.ready;
    throwIfAborted(options.signal);
    return subscription;
  }

  /**
   * Publish to a topic, whether subscribed to it or not. The node's own subscribers get it as well.
   *
   * @param payload - at most 32 KiB
   * @returns the publication's ID, and how many other nodes have taken it from us; 0 when nobody
   * else seems to subscribe
   * @throws KadError KAD_BAD_PARAMETERS, KAD_TOO_LARGE, KAD_STOPPED, KAD_ABORTED.
   */
  async publish(
    topic: string,
    payload: Uint8Array,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<{ id: string; reached: number }> {
    const { host, seen } = this.need();
    throwIfAborted(signal);
    if (!host.node.running) throw new KadError('KAD_STOPPED', 'start the node before you publish');
    const { clock, random, identity } = host;
    const hash = hashTopic(topic);
    const publication = makePublication(identity, hash, payload, { time: clock.now(), random });
    const { id } = publication;
    if (!seen.add(id, clock.now())) {
      throw new KadError('KAD_BUSY', 'too many publications at this time: try again in a minute');
    }
    this.counts.published += 1;
    const mesh = this.topics.get(hash)?.mesh;
    this.hand(publication);
    let reached = (await mesh?.spread(publication)) ?? 0;
    if (reached === 0) reached = await this.enter(publication, signal);
    return { id, reached };
  }

  /** What has been done so far. */
  get stats(): PubSubStats {
    return { ...this.counts, lookupMessages: this.need().rendezvous.lookupMessages };
  }

  /** Neighbours in a topic: for a node without addresses, nodes that it has the topic from. */
  neighbours(topic: string): number {
    const hash = hashTopic(topic);
    const mesh = this.topics.get(hash)?.mesh;
    return mesh === undefined ? this.need().feed.attachedTo(hash) : mesh.overlay.size;
  }

  /** How a peer has behaved: 0 for well, negative for badly; below -20 nothing is taken from it. */
  scoreOf(peer: NodeId): number {
    return this.scores.scoreOf(peer, this.need().host.clock.now());
  }

  private assemble(host: PluginHost) {
    const { clock, random } = host;
    const { options } = this;
    const { signal } = this.stopping;
    const now = clock.now();
    const calls = new PeerCalls(host, options, signal);
    const store = new RecordStore(random, now);
    const rendezvous = new Rendezvous(host, calls, store, options);
    const gradients = new Gradients(
      host,
      calls,
      () =>
        [...this.topics.values()].filter(({ mesh }) => mesh !== undefined).map(({ hash }) => hash),
      { maxFill: options.maxFill, keepMs: options.recordMs },
    );
    const desk = new PullDesk({
      clock,
      clients: options.clients,
      pullMs: options.pullMs,
      follow: (topic) => this.followForClients(topic),
    });
    const feed = new ClientFeed(
      host,
      calls,
      options,
      {
        find: (topic) => rendezvous.find(topic, signal),
        take: (wire, from) => this.takeQuietly(wire, from),
        short: (topic) => void feed.search(topic),
      },
      signal,
    );
    return {
      host,
      calls,
      store,
      rendezvous,
      gradients,
      desk,
      feed,
      seen: new SeenCache(options.maxAgeMs + options.maxAheadMs, options.seen, now),
      cache: new MessageCache({
        keepMs: options.cacheMs,
        bytes: options.cacheBytes,
        count: 10_000,
      }),
    };
  }

  private need(): ReturnType<PubSub['assemble']> {
    if (this.parts === undefined) {
      throw new KadError('KAD_BAD_PARAMETERS', 'the plugin belongs to no node yet');
    }
    return this.parts;
  }

  // ── Topics ──────────────────────────────────────────────────────────────────────────────────

  private follow(hash: TopicHash): Topic {
    const there = this.topics.get(hash);
    if (there !== undefined) return there;
    const state: Topic = {
      hash,
      subscriptions: new Set(),
      rate: new TokenBucket(this.options.perTopic, this.need().host.clock.now()),
      mesh: undefined,
      ready: Promise.resolve(),
      announceAt: 0,
      mendAt: 0,
      lonelyMs: MEND_MS,
      busy: false,
    };
    this.topics.set(hash, state);
    state.ready = this.join(state);
    return state;
  }

  private followForClients(hash: TopicHash): boolean {
    const { host } = this.need();
    if (this.topics.get(hash)?.mesh !== undefined) return true;
    if (host.node.contact.addresses.length === 0) return false;
    let relayed = 0;
    for (const { subscriptions } of this.topics.values())
      if (subscriptions.size === 0) relayed += 1;
    if (relayed >= this.options.relayed || this.topics.size >= this.options.topics) return false;
    this.follow(hash);
    return true;
  }

  private unfollowUnused(state: Topic): void {
    const { desk, feed } = this.need();
    if (state.subscriptions.size > 0 || this.topics.get(state.hash) !== state) return;
    if (state.mesh !== undefined && desk.serves(state.hash)) return;
    this.topics.delete(state.hash);
    feed.unfollow(state.hash);
    void state.mesh?.leave();
  }

  /** Begin to take part in a topic, or have it from others when nobody can reach us. */
  private async join(state: Topic): Promise<void> {
    const { host, feed } = this.need();
    if (host.node.contact.addresses.length === 0) {
      await feed.follow(state.hash);
      return;
    }
    state.mesh = this.meshOf(state);
    await this.announce(state);
  }

  private meshOf(state: Topic): TopicMesh {
    const { host, calls, seen, cache } = this.need();
    const { clock, random, identity } = host;
    const { links, maxLinks, passive, graftMs, cacheMs } = this.options;
    const topic = state.hash;
    return new TopicMesh({
      topic,
      own: identity.nodeId,
      random,
      links,
      maxLinks,
      passive,
      graftMs,
      perGroup: host.options.perGroup,
      call: (to, method, params) => calls.call(to, method, params),
      admits: (peer) => !this.scores.isShunned(peer, clock.now()),
      recent: () => cache.recent(topic, clock.now() - cacheMs, MAX_RECENT),
      now: () => clock.now(),
      after: (ms, run) => this.later(run, ms),
      isFree: (peer) => calls.isFree(peer),
      seen: (id) => seen.has(id),
      tell: (contact, id) => this.tell(contact, topic, id),
      untell: (peer, id) => this.haves.remove(peer, topic, id),
      take: (wire, from) => {
        if (this.takeQuietly(wire, from)) this.counts.recovered += 1;
      },
      brokeItsWord: (peer) => this.scores.penalise(peer, 'brokenPromise', clock.now()),
      broken: () => {
        state.mendAt = 0;
        this.later(() => void this.mend(state), 0);
      },
    });
  }

  /** Say that we subscribe, and make links to others. */
  private async announce(state: Topic): Promise<void> {
    const { host, rendezvous, gradients } = this.need();
    const { clock, random, logger } = host;
    const { signal } = this.stopping;
    const { mesh } = state;
    if (state.busy || mesh === undefined) return;
    state.busy = true;
    try {
      const { kept, answered, subscribers } = await rendezvous.announce(state.hash, signal);
      const again = answered === 0 ? 10_000 : kept ? this.options.renewMs : this.options.retryMs;
      state.announceAt = clock.now() + jittered(again, random);
      await mesh.overlay.mend(subscribers);
      if (mesh.overlay.size === 0 && answered > 0) {
        await mesh.overlay.mend(await gradients.walk(state.hash, this.options.links, signal));
      }
      if (mesh.overlay.size === 0) {
        // Nobody else yet: who comes later finds us, and now and then we look again.
        state.announceAt = Math.min(state.announceAt, clock.now() + state.lonelyMs);
        state.lonelyMs = Math.min(state.lonelyMs * 2, this.options.renewMs);
      } else {
        state.lonelyMs = MEND_MS;
      }
      await gradients.spread();
    } catch (error) {
      state.announceAt = clock.now() + jittered(10_000, random);
      if (!signal.aborted) logger.debug({ error: messageOf(error) }, 'a topic was not announced');
    } finally {
      state.busy = false;
    }
  }

  /** Make more links from those that are remembered; find others when nobody is left. */
  private async mend(state: Topic): Promise<void> {
    const { clock } = this.need().host;
    const { mesh } = state;
    if (mesh === undefined || !mesh.overlay.isShort || clock.now() < state.mendAt) return;
    if (this.topics.get(state.hash) !== state) return;
    state.mendAt = clock.now() + MEND_MS;
    await mesh.overlay.mend();
    if (mesh.overlay.size === 0) {
      state.announceAt = Math.min(state.announceAt, clock.now() + 1_000);
    }
  }

  // ── What is due now and then ────────────────────────────────────────────────────────────────

  private later(run: () => void, ms: number): unknown {
    const { clock } = this.need().host;
    const timer = clock.setTimeout(() => {
      if (!this.stopping.signal.aborted) run();
    }, ms);
    if (timer instanceof Object && 'unref' in timer) (timer as { unref(): void }).unref();
    return timer;
  }

  private tickLater(): void {
    const { random } = this.need().host;
    this.ticking = this.later(
      () => {
        this.tick();
        this.tickLater();
      },
      jittered(this.options.tickMs, random),
    );
  }

  private tick(): void {
    const { host, cache, desk, feed } = this.need();
    if (this.topics.size === 0 && cache.size === 0 && desk.size === 0) return;
    const now = host.clock.now();
    cache.expire(now);
    desk.expire();
    const client = host.node.contact.addresses.length === 0;
    for (const state of [...this.topics.values()]) {
      this.unfollowUnused(state);
      if (this.topics.get(state.hash) !== state) continue;
      if (client !== (state.mesh === undefined)) {
        this.changeRole(state);
      } else if (client) {
        void feed.search(state.hash);
      } else if (now >= state.announceAt) {
        void this.announce(state);
      } else {
        void this.mend(state);
      }
    }
    this.keepLinks(now);
  }

  /** The node has become reachable, or is so no longer. */
  private changeRole(state: Topic): void {
    const { feed } = this.need();
    void state.mesh?.leave();
    state.mesh = undefined;
    feed.unfollow(state.hash);
    state.ready = this.join(state);
  }

  /** Try the links that nothing came over for a while. */
  private keepLinks(now: number): void {
    const { calls } = this.need();
    const idle = new Map<NodeId, { contact: Contact; topics: TopicHash[] }>();
    for (const { hash, mesh } of this.topics.values()) {
      for (const { contact } of mesh?.overlay.links() ?? []) {
        if (now - calls.lastHeard(contact.nodeId) < this.options.keepMs) continue;
        const entry = idle.get(contact.nodeId) ?? { contact, topics: [] };
        entry.topics.push(hash);
        idle.set(contact.nodeId, entry);
      }
    }
    for (const { contact, topics } of idle.values()) void this.keep(contact, topics);
  }

  private async keep(contact: Contact, topics: TopicHash[]): Promise<void> {
    try {
      const answer = await this.need().calls.call(contact, 'PUBSUB_KEEP', { topics });
      this.forget(contact, field(answer, 'strangers'));
    } catch (error) {
      if (isSilence(error)) this.lost(contact.nodeId);
    }
  }

  /** A peer says of some topics that we are not its neighbours there. */
  private forget(contact: Contact, strangers: unknown): void {
    if (!Array.isArray(strangers)) return;
    for (const topic of (strangers as unknown[]).slice(0, MAX_TOPICS)) {
      const state = this.topics.get(topic as TopicHash);
      if (state?.mesh?.overlay.disconnect(contact.nodeId, true) !== true) continue;
      state.mendAt = 0;
      void this.mend(state);
    }
  }

  private lost(peer: NodeId): void {
    for (const { mesh } of this.topics.values()) mesh?.lost(peer);
  }

  private tell(contact: Contact, topic: TopicHash, id: string): void {
    this.haves.add(contact, topic, id);
    if (this.flushing) return;
    this.flushing = true;
    const { random } = this.need().host;
    this.later(
      () => {
        this.flushing = false;
        for (const { contact: to, have } of this.haves.take()) void this.sendHave(to, have);
      },
      jittered(this.options.haveMs, random),
    );
  }

  private async sendHave(contact: Contact, have: Record<TopicHash, string[]>): Promise<void> {
    try {
      const answer = await this.need().calls.call(contact, 'PUBSUB_HAVE', { have });
      this.forget(contact, field(answer, 'strangers'));
    } catch (error) {
      if (isSilence(error)) this.lost(contact.nodeId);
    }
  }

  // ── Publications ────────────────────────────────────────────────────────────────────────────

  /**
   * Take a publication from a peer: nothing is done with it before it has been checked.
   *
   * @throws KadError of what is wrong with it.
   */
  private take(wire: unknown, from: Contact): { state: Topic | undefined; isNew: boolean } {
    const { host, seen } = this.need();
    const now = host.clock.now();
    const refuse = (error: unknown, why?: 'invalid' | 'stale') => {
      this.counts.refused += 1;
      if (why !== undefined) this.scores.penalise(from.nodeId, why, now);
      return error;
    };
    let publication: Publication;
    try {
      publication = parsePublication(wire);
    } catch (error) {
      throw refuse(error, 'invalid');
    }
    const state = this.topics.get(publication.topic);
    if (state === undefined) return { state, isNew: false };
    if (seen.has(publication.id)) {
      this.counts.duplicates += 1;
      state.mesh?.onDuplicate(from.nodeId, publication.id);
      return { state, isNew: false };
    }
    const age = now - publication.time;
    if (age > this.options.maxAgeMs || age < -this.options.maxAheadMs) {
      throw refuse(
        new KadError('KAD_STALE', `the publication's time differs from ours by ${age} ms`),
        'stale',
      );
    }
    try {
      checkPublication(publication);
    } catch (error) {
      throw refuse(error, 'invalid');
    }
    // Not the fault of who passes it on.
    const within = this.withinRate(publication.publisher, now) && state.rate.take(now);
    if (!within || !seen.add(publication.id, now)) {
      throw refuse(new KadError('KAD_BUSY', 'too many publications at this time'));
    }
    this.counts.received += 1;
    this.hand(publication);
    void state.mesh?.spread(publication, from.nodeId);
    return { state, isNew: true };
  }

  private takeQuietly(wire: unknown, from: Contact): boolean {
    try {
      return this.take(wire, from).isNew;
    } catch (error) {
      const { logger } = this.need().host;
      logger.debug({ node: from.nodeId, error: messageOf(error) }, 'a publication was refused');
      return false;
    }
  }

  private withinRate(publisher: NodeId, now: number): boolean {
    let bucket = this.publishers.get(publisher);
    if (bucket === undefined) {
      this.publishers.set(publisher, (bucket = new TokenBucket(this.options.perPublisher, now)));
    }
    return bucket.take(now);
  }

  /** Give a publication to those who read it here, and keep it for those who miss it. */
  private hand(publication: Publication): void {
    const { host, cache, desk } = this.need();
    const state = this.topics.get(publication.topic);
    cache.add(publication, host.clock.now());
    for (const subscription of [...(state?.subscriptions ?? [])]) subscription.offer(publication);
    desk.offer(publication);
  }

  /** Bring a publication into a topic that we have no neighbours in: by a few of its subscribers. */
  private async enter(publication: Publication, signal?: AbortSignal): Promise<number> {
    const { host, calls } = this.need();
    const { clock } = host;
    const { topic, wire } = publication;
    let reached = 0;
    for (const fresh of [false, true]) {
      const known = this.entryPoints.get(topic);
      const keepMs = known?.contacts.length === 0 ? NO_ENTRIES_MS : ENTRIES_MS;
      const usable = known !== undefined && clock.now() - known.at < keepMs;
      if (fresh && usable && known.contacts.length === 0) break;
      const contacts = usable ? known.contacts : await this.findEntries(topic, signal);
      const left = [...contacts];
      while (reached < this.options.entries && left.length > 0) {
        throwIfAborted(signal);
        const batch = left.splice(0, this.options.entries - reached);
        const taken = await Promise.all(
          batch.map(async (contact) => {
            try {
              const answer = await calls.call(contact, 'PUBSUB_PUSH', { publication: wire });
              if (field(answer, 'subscribed') === true) return true;
            } catch (error) {
              host.logger.debug({ error: messageOf(error) }, 'a publication was not taken');
            }
            contacts.splice(contacts.indexOf(contact), 1);
            return false;
          }),
        );
        reached += taken.filter((ok) => ok).length;
      }
      if (reached > 0 || !usable) break;
    }
    return reached;
  }

  private async findEntries(topic: TopicHash, signal?: AbortSignal): Promise<Contact[]> {
    const { host, rendezvous, gradients } = this.need();
    const stop = this.stopping.signal;
    const either = signal === undefined ? stop : AbortSignal.any([stop, signal]);
    let { subscribers } = await rendezvous.find(topic, either);
    if (subscribers.length === 0) {
      subscribers = await gradients.walk(topic, this.options.entries, either);
    }
    this.entryPoints.set(topic, { contacts: subscribers, at: host.clock.now() });
    return subscribers;
  }

  // ── Methods ─────────────────────────────────────────────────────────────────────────────────

  private onPush(params: unknown, sender: Contact): unknown {
    const { state, isNew } = this.take(field(params, 'publication'), sender);
    if (state === undefined) return { subscribed: false, seen: false, linked: false };
    const linked = state.mesh?.overlay.link(sender.nodeId) !== undefined;
    return { subscribed: true, seen: !isNew, linked };
  }

  private onHave(params: unknown, sender: Contact): unknown {
    const have = field(params, 'have');
    if (typeof have !== 'object' || have === null) {
      throw new KadError('KAD_BAD_PARAMETERS', 'have is not a list of IDs for each topic');
    }
    const strangers: TopicHash[] = [];
    for (const [topic, ids] of Object.entries(have).slice(0, MAX_TOPICS)) {
      const mesh = this.topics.get(topic)?.mesh;
      if (mesh?.overlay.link(sender.nodeId) === undefined) {
        if (isNodeId(topic)) strangers.push(topic);
      } else {
        mesh.onHave(sender, ids);
      }
    }
    return { strangers };
  }

  private onGraft(params: unknown, sender: Contact): unknown {
    const { host, cache } = this.need();
    const now = host.clock.now();
    const topic = idField(params, 'topic');
    const ids = field(params, 'ids');
    if (!Array.isArray(ids) || ids.length > MAX_GRAFTED || !ids.every(isNodeId)) {
      throw new KadError('KAD_BAD_PARAMETERS', `ids is not a list of at most ${MAX_GRAFTED} IDs`);
    }
    const publications: PublicationWire[] = [];
    const later: string[] = [];
    let bytes = 0;
    for (const id of new Set(ids)) {
      const publication = cache.get(id);
      if (publication === undefined || publication.topic !== topic) continue;
      const size = publication.payload.length + 512;
      if (publications.length > 0 && bytes + size > MAX_ANSWER_BYTES) {
        later.push(id);
        continue;
      }
      if (!this.served.take(sender.nodeId, size, now)) {
        this.scores.penalise(sender.nodeId, 'tooFast', now);
        throw new KadError('KAD_BUSY', 'you have asked for too much: slow down');
      }
      bytes += size;
      publications.push(publication.wire);
    }
    if (publications.length > 0) this.topics.get(topic)?.mesh?.onGraft(sender.nodeId);
    return { publications, later };
  }

  private onNeighbour(params: unknown, sender: Contact): unknown {
    const topic = idField(params, 'topic');
    const mesh = this.topics.get(topic)?.mesh;
    if (mesh === undefined) return { accepted: false, subscribed: false, contacts: [], have: [] };
    const { host, cache } = this.need();
    const contacts = mesh.overlay.sample(sender.nodeId);
    const { accepted } = mesh.overlay.onNeighbour(sender, field(params, 'needy') === true);
    const since = host.clock.now() - this.options.cacheMs;
    const have = accepted ? cache.recent(topic, since, MAX_RECENT) : [];
    if (accepted) mesh.onHave(sender, field(params, 'have'));
    return { accepted, subscribed: true, contacts, have };
  }

  private onLeave(params: unknown, sender: Contact): unknown {
    const state = this.topics.get(idField(params, 'topic'));
    if (state?.mesh === undefined) return {};
    const { overlay } = state.mesh;
    if (overlay.link(sender.nodeId) === undefined) return {};
    for (const contact of parseContacts(field(params, 'contacts'), MAX_NAMED))
      overlay.know(contact);
    overlay.disconnect(sender.nodeId, false);
    state.mendAt = 0;
    this.later(() => void this.mend(state), 0);
    return {};
  }

  private onKeep(params: unknown, sender: Contact): unknown {
    const topics = field(params, 'topics');
    if (!Array.isArray(topics) || topics.length > MAX_TOPICS || !topics.every(isNodeId)) {
      throw new KadError('KAD_BAD_PARAMETERS', `topics is not a list of ${MAX_TOPICS} hashes`);
    }
    const linked = (topic: TopicHash) =>
      this.topics.get(topic)?.mesh?.overlay.link(sender.nodeId) !== undefined;
    return { strangers: topics.filter((topic) => !linked(topic)) };
  }

  private onAnnounce(params: unknown, sender: Contact): unknown {
    const { host, store, rendezvous } = this.need();
    const topic = idField(params, 'topic');
    const now = host.clock.now();
    const record = parseRecord(field(params, 'record'), {
      topic,
      now,
      lifeMs: this.options.recordMs,
    });
    if (record.contact.nodeId !== sender.nodeId) {
      throw new KadError('KAD_BAD_PARAMETERS', 'a node announces its own subscriptions only');
    }
    const kept = store.add(record, now);
    return { kept, records: rendezvous.sample(topic, sender.nodeId) };
  }

  private onFind(params: unknown, sender: Contact): unknown {
    return { records: this.need().rendezvous.sample(idField(params, 'topic'), sender.nodeId) };
  }

  private onFilter(params: unknown, sender: Contact): unknown {
    const { host, gradients } = this.need();
    try {
      return gradients.onFilter(sender, field(params, 'filter'));
    } catch (error) {
      this.scores.penalise(sender.nodeId, 'fullFilter', host.clock.now());
      throw error;
    }
  }

  private onSeek(params: unknown, sender: Contact): unknown {
    const topic = idField(params, 'topic');
    const state = this.topics.get(topic);
    const contacts = this.need()
      .gradients.towards(topic)
      .filter(({ nodeId }) => nodeId !== sender.nodeId);
    return { subscribed: state?.mesh !== undefined, contacts };
  }

  private async onPull(params: unknown, { sender, signal }: MethodContext): Promise<unknown> {
    const { host, desk } = this.need();
    const answer = await desk.pull(params, sender, signal);
    const size = answer.publications.reduce((sum, { payload }) => sum + payload.length + 512, 0);
    if (!this.served.take(sender.nodeId, size, host.clock.now())) {
      throw new KadError('KAD_BUSY', 'you have asked for too much: slow down');
    }
    return answer;
  }

  private stop(): void {
    const { host, desk } = this.need();
    this.stopping.abort(new KadError('KAD_STOPPED', 'the node stops'));
    host.clock.clearTimeout(this.ticking);
    desk.close();
    for (const { subscriptions } of [...this.topics.values()]) {
      for (const subscription of [...subscriptions]) subscription.close();
    }
    this.topics.clear();
  }
}
