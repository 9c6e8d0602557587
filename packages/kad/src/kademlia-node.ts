import { formatAddress, parseAddress } from './address.js';
import { type Clock, systemClock } from './clock.js';
import { MAX_ADDRESSES, type Contact, signContact } from './contact.js';
import { Dispatcher, type MethodHandler } from './dispatcher.js';
import { KadError, messageOf, throwIfAborted } from './errors.js';
import { field, idField } from './fields.js';
import { HookSet } from './hook-set.js';
import type { Identity } from './identity.js';
import { type KademliaOptions, defaultKademliaOptions } from './kademlia-options.js';
import { allowManyListeners } from './listeners.js';
import { type Logger, silentLogger } from './logger.js';
import { type LookupAnswer, type LookupResult, iterativeLookup } from './lookup.js';
import { Maintenance } from './maintenance.js';
import { ID_BITS, type NodeId, bucketIndex, isNodeId, randomIdInBucket } from './node-id.js';
import { estimateNodes } from './network-size.js';
import type { Plugin } from './plugin.js';
import { ContentAddressing } from './plugins/content-addressing.js';
import { Departures } from './plugins/departures.js';
import { DownLists } from './plugins/down-lists.js';
import { type Random, systemRandom } from './random.js';
import { RoutingTable } from './routing-table.js';
import { SignedRpc, parseContacts } from './rpc.js';
import type { RpcChannel } from './rpc-channel.js';
import { isSilence } from './silence.js';
import type { ExchangeOptions, Transport } from './transport.js';
import type { ValueStore } from './value-store.js';

/** What a {@link KademliaNode} is made of. */
export interface KademliaNodeParts {
  readonly identity: Identity;
  /** Carries signed messages. One of `transport` and `channel` is needed. */
  readonly transport?: Transport;
  /** Carries calls in another way than by {@link SignedRpc} over a transport. */
  readonly channel?: RpcChannel;
  /** Where values are kept. Without it the node keeps none, and `put` and `get` are not there. */
  readonly storage?: ValueStore;
  /** Addresses to announce besides, whatever is found out of the others; asked whenever a contact is made. */
  readonly besides?: () => readonly string[];
  /** Installed in this order, after those that every node has. */
  readonly plugins?: readonly Plugin[];
  /** Leave out the plugins that every node has, but for content addressing. */
  readonly bare?: boolean;
  readonly logger?: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly options?: Partial<KademliaOptions>;
}

/** Contacts that are pinged in the background at one time. */
const MAX_CHECKS = 256;

/**
 * A node of the DHT: Kademlia (Maymounkov and Mazières 2002) with the lookups and siblings of
 * S/Kademlia (Baumgart and Mies 2007). What is not routing is in plugins.
 */
export class KademliaNode {
  readonly identity: Identity;
  readonly routingTable: RoutingTable;
  readonly options: KademliaOptions;
  private readonly channel: RpcChannel;
  private readonly logger: Logger;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly dispatcher = new Dispatcher();
  private readonly hooks: HookSet;
  private readonly maintenance: Maintenance;
  private readonly values: ContentAddressing | undefined;
  private readonly checking = new Set<NodeId>();
  private readonly stopping = new AbortController();
  private ownContact: Contact;
  private state: 'new' | 'running' | 'stopped' = 'new';

  /** @throws KadError KAD_BAD_PARAMETERS when there is neither a transport nor a channel. */
  constructor(private readonly parts: KademliaNodeParts) {
    this.identity = parts.identity;
    this.logger = parts.logger ?? silentLogger;
    this.clock = parts.clock ?? systemClock;
    this.random = parts.random ?? systemRandom;
    this.options = { ...defaultKademliaOptions, ...parts.options };
    const { k, siblings, perGroup } = this.options;
    this.routingTable = new RoutingTable(this.identity.nodeId, k, { siblings, perGroup });
    this.ownContact = signContact(this.identity, { addresses: [], sequence: this.clock.now() });
    this.channel = parts.channel ?? this.signedRpc(parts.transport);
    this.hooks = new HookSet(this.logger);
    this.maintenance = new Maintenance(this, this.clock, this.random, this.logger, () =>
      this.hooks.maintain(),
    );
    this.dispatcher.register('PING', () => Promise.resolve({}));
    this.dispatcher.register('FIND_NODE', (params) =>
      Promise.resolve().then(() => ({
        contacts: this.routingTable.closest(idField(params, 'target'), k),
      })),
    );
    if (parts.storage !== undefined) {
      this.values = new ContentAddressing(parts.storage);
      this.use(this.values);
    }
    if (parts.bare !== true) {
      this.use(new DownLists());
      this.use(new Departures());
    }
    for (const plugin of parts.plugins ?? []) this.use(plugin);
  }

  private signedRpc(transport: Transport | undefined): RpcChannel {
    if (transport === undefined) {
      throw new KadError('KAD_BAD_PARAMETERS', 'a node needs a transport or a channel');
    }
    const { identity, clock, random, logger, options } = this;
    const { timeoutMs, maxConcurrent } = options;
    return new SignedRpc({
      identity,
      transport,
      clock,
      random,
      logger,
      timeoutMs,
      maxConcurrent,
    });
  }

  private use(plugin: Plugin): void {
    const { identity, options, clock, random, logger } = this;
    const hooks = this.hooks.install(plugin, {
      node: this,
      identity,
      options,
      clock,
      random,
      logger,
    });
    for (const [name, handler] of Object.entries(hooks.methods ?? {})) {
      this.dispatcher.register(name, handler);
    }
    if (hooks.onRequest !== undefined) this.dispatcher.use(hooks.onRequest);
  }

  /** Our own contact, as others see it. */
  get contact(): Contact {
    return this.ownContact;
  }

  /** Whether the node has started and has not stopped. */
  get running(): boolean {
    return this.state === 'running';
  }

  /** Begin to listen and to maintain. */
  async start(): Promise<void> {
    if (this.state !== 'new') throw new KadError('KAD_STOPPED', 'a node starts once');
    await this.channel.listen({
      contact: () => this.ownContact,
      gate: (remote, size) => this.hooks.gate(remote, size),
      refused: (remote, error) => this.hooks.refused(remote, error),
      met: (contact, how) => this.meet(contact, how),
      handle: (request) => this.dispatcher.handle(request),
    });
    this.announce(this.channel.addresses);
    this.state = 'running';
    await this.hooks.start();
    this.maintenance.start();
  }

  /** Say from now on that we can be reached at these addresses: a new contact with a new sequence. */
  announce(found: readonly string[]): void {
    const besides = this.parts.besides?.() ?? [];
    const first = found.filter((address) => !besides.includes(address));
    const addresses = [...first.slice(0, MAX_ADDRESSES - besides.length), ...besides];
    const sequence = Math.max(this.clock.now(), this.ownContact.sequence + 1);
    this.ownContact = signContact(this.identity, { addresses, sequence });
  }

  /**
   * Leave the network in good order: values go to those who are to have them, and everybody who
   * knows us is told. Nothing is lost when it is cut short; the others find out by themselves.
   * Then {@link KademliaNode.stop}.
   *
   * @param timeoutMs - for all of it
   */
  async leave({ timeoutMs = 5_000 }: { timeoutMs?: number } = {}): Promise<void> {
    if (this.state !== 'running') return;
    const controller = new AbortController();
    allowManyListeners(controller.signal);
    const timer = this.clock.setTimeout(
      () => controller.abort(new KadError('KAD_TIMEOUT', 'leaving took too long')),
      timeoutMs,
    );
    try {
      await this.hooks.leave(controller.signal);
    } finally {
      this.clock.clearTimeout(timer);
    }
  }

  /** Stop everything and free it. */
  async stop(): Promise<void> {
    if (this.state === 'stopped') return;
    this.state = 'stopped';
    this.stopping.abort(new KadError('KAD_STOPPED', 'the node stops'));
    this.maintenance.stop();
    await this.channel.stop();
    // What is left of maintenance fails soon, since nobody can be asked any more.
    await this.maintenance.settled();
    await this.hooks.stop();
  }

  /**
   * Enter a network by any of its nodes: look ourselves up, then refresh the buckets farther away.
   *
   * @param bootstrap - addresses, with or without node IDs
   * @param options.fill - whether to refresh those buckets; else they fill by what is looked up. By default true
   * @throws KadError KAD_UNREACHABLE when none of them answers.
   */
  async join(
    bootstrap: readonly string[],
    { signal, fill = true }: { signal?: AbortSignal; fill?: boolean } = {},
  ): Promise<void> {
    const options = opt(signal);
    const results = await Promise.allSettled(
      bootstrap.map((address) => this.resolve(address, options)),
    );
    const reached = results.filter(
      (result) => result.status === 'fulfilled' && result.value.nodeId !== this.identity.nodeId,
    );
    if (reached.length === 0) {
      const reasons = results.map((result, i) =>
        result.status === 'rejected' ? `${bootstrap[i]} (${messageOf(result.reason)})` : '',
      );
      throw new KadError(
        'KAD_UNREACHABLE',
        `no bootstrap node answered: ${reasons.filter((r) => r !== '').join('; ') || 'none was named'}`,
      );
    }
    await this.lookup(this.identity.nodeId, options);
    if (!fill) return;
    const lowest = this.routingTable.lowestBucket();
    for (let index = lowest + 1; index < ID_BITS && lowest >= 0; index += 1) {
      await this.fill(index, options);
    }
  }

  /** Look into the range of a k-bucket, until the bucket is half full or nobody else is there. */
  private async fill(index: number, options: { signal?: AbortSignal }): Promise<void> {
    // Far buckets fill by themselves on the way, and near ones have all that there are; only those
    // with fewer contacts than there should be need a look.
    const { k } = this.options;
    const own = this.identity.nodeId;
    const nodes = estimateNodes(own, this.routingTable.closest(own, k));
    const expected = nodes * 2 ** (index - ID_BITS);
    const enough = () =>
      (this.routingTable.bucket(index)?.contacts.length ?? 0) >= Math.min(k, expected) / 2;
    if (enough()) return;
    const target = randomIdInBucket(this.identity.nodeId, index, this.random);
    await this.find<never>({ target, kind: 'node', enough, ...options }, (contact) =>
      this.askForNodes(contact, target, options),
    );
  }

  private async askForNodes(
    contact: Contact,
    target: NodeId,
    options: { signal?: AbortSignal },
  ): Promise<LookupAnswer<never>> {
    const answer = await this.call(contact, 'FIND_NODE', { target }, options);
    return { contacts: parseContacts(field(answer, 'contacts'), this.options.k) };
  }

  /** The signed contact of the node at an address. */
  async resolve(address: string, options: ExchangeOptions = {}): Promise<Contact> {
    const parsed = parseAddress(address);
    const limits = { timeoutMs: this.options.timeoutMs, ...options };
    const nodeId = await this.channel.identify(address, limits);
    const to = { nodeId, addresses: [formatAddress(parsed)] };
    const call = { to, method: 'PING', params: {}, options: limits };
    const { contact } = await this.hooks.call(call, (passed) => this.send(passed));
    return contact;
  }

  /** Ping a contact: the round trip in milliseconds. */
  async ping(contact: Contact, options: ExchangeOptions = {}): Promise<number> {
    const begin = this.clock.now();
    await this.call(contact, 'PING', {}, options);
    return this.clock.now() - begin;
  }

  /**
   * Ask a contact. A contact that does not answer leaves the routing table.
   *
   * @throws RemoteError when it answered with an error; other KadErrors when it did not answer.
   */
  async call(
    contact: Contact,
    method: string,
    params: unknown,
    options: ExchangeOptions = {},
  ): Promise<unknown> {
    // Others may name a contact that its node has long replaced, by mistake or to make us think
    // that the node is gone.
    const known = this.routingTable.get(contact.nodeId)?.contact;
    const to = known !== undefined && known.sequence > contact.sequence ? known : contact;
    try {
      const call = { to, method, params, options };
      return (await this.hooks.call(call, (passed) => this.send(passed))).result;
    } catch (error) {
      if (isSilence(error)) {
        if (this.drop(to, 'silent')) this.maintenance.lost(to);
        this.hooks.silent(to);
      }
      throw error;
    }
  }

  private send({ to, method, params, options }: Parameters<HookSet['call']>[0]) {
    return this.channel.call(to, method, params, options);
  }

  /** Take a contact out of the routing table. */
  drop(contact: Contact, reason: 'silent' | 'left'): boolean {
    if (!this.routingTable.remove(contact.nodeId)) return false;
    this.hooks.removed(contact, reason);
    return true;
  }

  /** Answer a method of your own. The name is upper case, with digits and underscores. */
  registerMethod(name: string, handler: MethodHandler): void {
    this.dispatcher.register(name, handler);
  }

  /** Everyone in the routing table. */
  contacts(): Contact[] {
    return this.routingTable.contacts();
  }

  /** The k nodes closest to an ID. */
  async lookup(
    target: NodeId,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<LookupResult<never>> {
    return this.find<never>({ target, kind: 'node', ...opt(signal) }, (contact) =>
      this.askForNodes(contact, target, opt(signal)),
    );
  }

  /**
   * An iterative lookup with a question of your own, for plugins: everything but the question is as
   * in {@link KademliaNode.lookup}.
   *
   * @param ask - asks one node; a rejection means that it did not answer as it should
   * @throws KadError KAD_BAD_PARAMETERS when the target is not an ID; KAD_ABORTED.
   */
  async find<V>(
    {
      target,
      kind,
      enough,
      signal,
    }: {
      target: NodeId;
      kind: 'node' | 'value';
      /** Ends the lookup before its time, when it returns true. */
      enough?: () => boolean;
      signal?: AbortSignal;
    },
    ask: (contact: Contact) => Promise<LookupAnswer<V>>,
  ): Promise<LookupResult<V>> {
    if (!isNodeId(target)) {
      throw new KadError('KAD_BAD_PARAMETERS', 'a node ID has 64 lower-case hex digits');
    }
    throwIfAborted(signal);
    const { k, alpha, paths, perGroup, patienceMs } = this.options;
    const index = bucketIndex(this.identity.nodeId, target);
    if (index >= 0) this.maintenance.refreshed(index);
    const observer = this.hooks.lookup({ target, kind });
    return iterativeLookup<V>({
      target,
      own: this.identity.nodeId,
      seeds: this.routingTable.closest(target, k),
      k,
      alpha,
      paths,
      perGroup,
      clock: this.clock,
      ...(patienceMs !== Infinity && { patienceMs }),
      admit: (contact) => this.hooks.admits(contact, 'named to us'),
      ...(observer !== undefined && { observer }),
      ...(enough !== undefined && { enough }),
      ask,
      ...opt(signal),
    });
  }

  /**
   * Publish a value to the k nodes closest to its hash, and keep publishing it while this node runs.
   *
   * @returns the key, and how many nodes took it
   * @throws KadError KAD_TOO_LARGE; KAD_UNREACHABLE when no node took it.
   */
  put(
    value: Uint8Array,
    options: { signal?: AbortSignal } = {},
  ): Promise<{ key: string; stored: number }> {
    return this.needValues().put(value, options);
  }

  /**
   * Find a value.
   *
   * @throws KadError KAD_NOT_FOUND.
   */
  get(key: string, options: { signal?: AbortSignal } = {}): Promise<Uint8Array> {
    return this.needValues().get(key, options);
  }

  private needValues(): ContentAddressing {
    if (this.values === undefined) {
      throw new KadError('KAD_BAD_PARAMETERS', 'this node was made without a storage for values');
    }
    return this.values;
  }

  /** A contact sent us something that checked out. */
  private meet(contact: Contact, how: 'asked us' | 'answered us'): void {
    if (contact.nodeId === this.identity.nodeId || contact.addresses.length === 0) return;
    const now = this.clock.now();
    const known = this.routingTable.get(contact.nodeId) !== undefined;
    if (!known && !this.hooks.admits(contact, how)) return;
    // Pings are for room in a bucket; without this, every message would cost two more.
    const wanted = this.routingTable.wants(contact.nodeId, now - this.options.staleMs);
    if (how === 'answered us' || known) {
      const oldest = this.routingTable.seen(contact, now);
      if (oldest !== undefined && wanted) this.check(oldest);
      if (!known && this.routingTable.get(contact.nodeId) !== undefined) this.hooks.added(contact);
      return;
    }
    // Whoever asks has not shown yet that it can be reached where it says.
    if (wanted) this.check(contact);
  }

  /**
   * Ping somebody in the background: who answers is (still) a contact, who doesn't leaves. Does
   * nothing when too many are being pinged already.
   */
  check(contact: Contact): void {
    if (this.state !== 'running' || this.checking.size >= MAX_CHECKS) return;
    if (this.checking.has(contact.nodeId)) return;
    this.checking.add(contact.nodeId);
    this.call(contact, 'PING', {})
      .catch((error: unknown) =>
        this.logger.trace({ node: contact.nodeId, error: messageOf(error) }, 'a ping failed'),
      )
      .finally(() => this.checking.delete(contact.nodeId));
  }

  /** Refresh, republish and expire what is due. Called by the node itself; tests call it too. */
  maintain(): Promise<void> {
    return this.maintenance.run();
  }
}

function opt(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
