import { formatAddress, parseAddress } from './address.js';
import { type Clock, systemClock } from './clock.js';
import { type Contact, signContact } from './contact.js';
import { KadError, messageOf, throwIfAborted } from './errors.js';
import type { Identity } from './identity.js';
import { type Logger, silentLogger } from './logger.js';
import { type LookupResult, iterativeLookup } from './lookup.js';
import { LruMap } from './lru-map.js';
import {
  ID_BITS,
  type NodeId,
  bucketIndex,
  distance,
  isNodeId,
  randomIdInBucket,
} from './node-id.js';
import { type Random, randomFraction, systemRandom } from './random.js';
import { RoutingTable } from './routing-table.js';
import { type MethodHandler, SignedRpc, parseContacts } from './rpc.js';
import { sha256 } from './sha256.js';
import type { ExchangeOptions, Transport } from './transport.js';
import { MAX_VALUE_SIZE, type ValueStore } from './value-store.js';

/** Kademlia's parameters. Times are milliseconds. */
export interface KademliaOptions {
  /** Contacts in a k-bucket, and nodes that keep a value. */
  readonly k: number;
  /** Questions that a lookup has under way at one time. */
  readonly alpha: number;
  /** For one exchange of messages. */
  readonly timeoutMs: number;
  /** A k-bucket that saw no lookup for this long is refreshed. */
  readonly refreshMs: number;
  /** A value that did not come in for this long is sent to the k closest again. */
  readonly republishMs: number;
  /** How long a value is kept after its publisher last sent it. */
  readonly expireMs: number;
  /** How long a value is kept where it was cached along a lookup's path. */
  readonly cacheMs: number;
  /** The publisher sends its values again after this. */
  readonly publishMs: number;
  /** How often the node looks what is due. */
  readonly maintenanceMs: number;
  /** The most requests answered at one time. */
  readonly maxConcurrent: number;
  /** A contact that was heard of within this time is not pinged to make room for another. */
  readonly staleMs: number;
  /** The most bytes of new values taken from one sender in an hour. */
  readonly senderBytes: number;
}

const HOUR = 3600 * 1000;
/** The most lost contacts that a node remembers. */
const MAX_LOST = 256;

/** The parameters of the paper (section 2 and 4), and limits. */
export const defaultKademliaOptions: KademliaOptions = {
  k: 20,
  alpha: 3,
  timeoutMs: 5_000,
  refreshMs: HOUR,
  republishMs: HOUR,
  expireMs: 24 * HOUR,
  cacheMs: HOUR,
  publishMs: 22 * HOUR,
  maintenanceMs: 60_000,
  maxConcurrent: 1024,
  staleMs: 10 * 60_000,
  senderBytes: 32 * 1024 * 1024,
};

/** What a {@link KademliaNode} is made of. */
export interface KademliaNodeParts {
  readonly identity: Identity;
  readonly transport: Transport;
  readonly storage: ValueStore;
  readonly logger?: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly options?: Partial<KademliaOptions>;
}

/** A node of the DHT: Kademlia (Maymounkov and Mazières 2002) over signed JSON-RPC. */
export class KademliaNode {
  readonly identity: Identity;
  readonly routingTable: RoutingTable;
  private readonly transport: Transport;
  private readonly storage: ValueStore;
  private readonly logger: Logger;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly options: KademliaOptions;
  private readonly rpc: SignedRpc;
  private readonly refreshed = new Array<number>(ID_BITS).fill(0);
  /** Keys of our own values, and when we last sent them out. */
  private readonly published = new Map<string, number>();
  private readonly checking = new Set<NodeId>();
  /** Contacts that left the table, and when: they are tried again, so that an outage ends. */
  private readonly lost = new Map<NodeId, { contact: Contact; since: number }>();
  /** Bytes of new values from each sender in the hour that began at `since`. */
  private readonly taken = new LruMap<NodeId, { bytes: number; since: number }>(10_000);
  private working: Promise<void> = Promise.resolve();
  private ownContact: Contact;
  private timer: unknown;
  private state: 'new' | 'running' | 'stopped' = 'new';

  constructor(parts: KademliaNodeParts) {
    this.identity = parts.identity;
    this.transport = parts.transport;
    this.storage = parts.storage;
    this.logger = parts.logger ?? silentLogger;
    this.clock = parts.clock ?? systemClock;
    this.random = parts.random ?? systemRandom;
    this.options = { ...defaultKademliaOptions, ...parts.options };
    this.routingTable = new RoutingTable(this.identity.nodeId, this.options.k);
    this.ownContact = signContact(this.identity, { addresses: [], sequence: this.clock.now() });
    this.rpc = new SignedRpc({
      identity: this.identity,
      transport: this.transport,
      clock: this.clock,
      random: this.random,
      logger: this.logger,
      contact: () => this.ownContact,
      onContact: (contact, how) => this.meet(contact, how),
      timeoutMs: this.options.timeoutMs,
      maxConcurrent: this.options.maxConcurrent,
    });
    this.rpc.register('PING', () => Promise.resolve({}));
    this.rpc.register('FIND_NODE', (params) => this.onFindNode(params));
    this.rpc.register('FIND_VALUE', (params) => this.onFindValue(params));
    this.rpc.register('STORE', (params, { sender }) => this.onStore(params, sender.nodeId));
  }

  /** Our own contact, as others see it. */
  get contact(): Contact {
    return this.ownContact;
  }

  /** Begin to listen and to maintain. */
  async start(): Promise<void> {
    if (this.state !== 'new') throw new KadError('KAD_STOPPED', 'a node starts once');
    await this.rpc.listen();
    this.ownContact = signContact(this.identity, {
      addresses: this.transport.addresses,
      sequence: this.clock.now(),
    });
    this.state = 'running';
    this.schedule();
  }

  /** Stop everything and free it. */
  async stop(): Promise<void> {
    if (this.state === 'stopped') return;
    this.state = 'stopped';
    this.clock.clearTimeout(this.timer);
    this.rpc.stop();
    await this.transport.close();
    // What is left of maintenance fails soon, since nobody can be asked any more.
    await this.working.catch(() => undefined);
    await this.storage.close();
  }

  /**
   * Enter a network by any of its nodes: look ourselves up, then refresh the buckets farther away.
   *
   * @param bootstrap - addresses, with or without node IDs
   * @throws KadError KAD_UNREACHABLE when none of them answers.
   */
  async join(
    bootstrap: readonly string[],
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<void> {
    const options = signal === undefined ? {} : { signal };
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
    const lowest = this.routingTable.lowestBucket();
    for (let index = lowest + 1; index < ID_BITS && lowest >= 0; index += 1) {
      // Far buckets fill by themselves on the way; only those with few contacts need a look.
      const bucket = this.routingTable.bucket(index);
      if (bucket !== undefined && bucket.contacts.length >= this.options.k / 2) continue;
      await this.lookup(randomIdInBucket(this.identity.nodeId, index, this.random), options);
    }
  }

  /** The signed contact of the node at an address. */
  async resolve(address: string, options: ExchangeOptions = {}): Promise<Contact> {
    const parsed = parseAddress(address);
    const limits = { timeoutMs: this.options.timeoutMs, ...options };
    const nodeId = await this.transport.identify(address, limits);
    const { contact } = await this.rpc.call(
      { nodeId, addresses: [formatAddress(parsed)] },
      'PING',
      {},
      limits,
    );
    return contact;
  }

  /** Ping a contact: the round trip in milliseconds. */
  async ping(contact: Contact, options: ExchangeOptions = {}): Promise<number> {
    const begin = this.clock.now();
    await this.call(contact, 'PING', {}, options);
    return this.clock.now() - begin;
  }

  /** Ask a contact. A contact that does not answer leaves the routing table. */
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
      return (await this.rpc.call(to, method, params, options)).result;
    } catch (error) {
      if (isSilence(error)) this.lose(to);
      throw error;
    }
  }

  private lose(contact: Contact): void {
    if (!this.routingTable.remove(contact.nodeId)) return;
    this.lost.delete(contact.nodeId);
    this.lost.set(contact.nodeId, { contact, since: this.clock.now() });
    if (this.lost.size > MAX_LOST) this.lost.delete(this.lost.keys().next().value!);
  }

  /** Answer a method of your own. The name is upper case, with digits and underscores. */
  registerMethod(name: string, handler: MethodHandler): void {
    this.rpc.register(name, handler);
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
    if (!isNodeId(target)) {
      throw new KadError('KAD_BAD_PARAMETERS', 'a node ID has 64 lower-case hex digits');
    }
    this.noteLookup(target);
    return iterativeLookup<never>({
      ...this.lookupFrame(target, signal),
      ask: async (contact) => ({
        contacts: parseContacts(
          field(await this.call(contact, 'FIND_NODE', { target }, opt(signal)), 'contacts'),
          this.options.k,
        ),
      }),
    });
  }

  /**
   * Publish a value to the k nodes closest to its hash, and keep publishing it while this node runs.
   *
   * @returns the key, and how many nodes took it
   * @throws KadError KAD_TOO_LARGE; KAD_UNREACHABLE when no node took it.
   */
  async put(
    value: Uint8Array,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<{ key: string; stored: number }> {
    if (value.length > MAX_VALUE_SIZE) {
      throw new KadError('KAD_TOO_LARGE', `a value has at most ${MAX_VALUE_SIZE} bytes`);
    }
    const key = Buffer.from(sha256(value)).toString('hex');
    const stored = await this.spread(key, value, this.options.expireMs, signal);
    if (stored === 0) {
      throwIfAborted(signal);
      throw new KadError('KAD_UNREACHABLE', 'no node took the value: join a network first');
    }
    await this.keep(key, value, this.options.expireMs);
    this.published.set(key, this.clock.now());
    return { key, stored };
  }

  /**
   * Find a value.
   *
   * @throws KadError KAD_NOT_FOUND.
   */
  async get(key: string, { signal }: { signal?: AbortSignal } = {}): Promise<Uint8Array> {
    if (!isNodeId(key)) {
      throw new KadError('KAD_BAD_PARAMETERS', 'a key has 64 lower-case hex digits');
    }
    const own = this.live(key);
    if (own !== undefined) return own;
    this.noteLookup(key);
    const empty: Contact[] = [];
    const { value } = await iterativeLookup<Uint8Array>({
      ...this.lookupFrame(key, signal),
      ask: async (contact) => {
        const answer = await this.call(contact, 'FIND_VALUE', { key }, opt(signal));
        const value = field(answer, 'value');
        if (value !== undefined) return { contacts: [], value: parseValue(key, value) };
        empty.push(contact);
        return { contacts: parseContacts(field(answer, 'contacts'), this.options.k) };
      },
    });
    if (value === undefined) {
      throw new KadError('KAD_NOT_FOUND', `no node has a value for ${key}`);
    }
    this.cacheAlongPath(key, value, empty);
    return value;
  }

  /** Caching along the path (section 2.3): the closest node that had not the value gets it for a while. */
  private cacheAlongPath(key: string, value: Uint8Array, empty: Contact[]): void {
    const [closest] = empty.sort((a, b) =>
      distance(a.nodeId, key) < distance(b.nodeId, key) ? -1 : 1,
    );
    if (closest === undefined) return;
    const ttl = this.options.cacheMs;
    this.call(closest, 'STORE', { key, value: toBase64(value), ttl }).catch((error: unknown) =>
      this.logger.debug({ error: messageOf(error) }, 'a value was not cached'),
    );
  }

  private lookupFrame(target: NodeId, signal?: AbortSignal) {
    return {
      target,
      own: this.identity.nodeId,
      seeds: this.routingTable.closest(target, this.options.k),
      k: this.options.k,
      alpha: this.options.alpha,
      ...opt(signal),
    };
  }

  private async spread(
    key: string,
    value: Uint8Array,
    ttl: number,
    signal?: AbortSignal,
  ): Promise<number> {
    const { contacts } = await this.lookup(key, opt(signal));
    const params = { key, value: toBase64(value), ttl };
    const results = await Promise.allSettled(
      contacts.map((contact) => this.call(contact, 'STORE', params, opt(signal))),
    );
    return results.filter(({ status }) => status === 'fulfilled').length;
  }

  private noteLookup(target: NodeId): void {
    const index = bucketIndex(this.identity.nodeId, target);
    if (index >= 0) this.refreshed[index] = this.clock.now();
  }

  /** A contact sent us something that checked out. */
  private meet(contact: Contact, how: 'asked us' | 'answered us'): void {
    if (contact.nodeId === this.identity.nodeId || contact.addresses.length === 0) return;
    const now = this.clock.now();
    // Pings are for room in a bucket; without this, every message would cost two more.
    const wanted = this.routingTable.wants(contact.nodeId, now - this.options.staleMs);
    if (how === 'answered us' || this.routingTable.get(contact.nodeId) !== undefined) {
      const oldest = this.routingTable.seen(contact, now);
      if (oldest !== undefined && wanted) this.check(oldest);
      return;
    }
    // Whoever asks has not shown yet that it can be reached where it says.
    if (wanted) this.check(contact);
  }

  /** Ping somebody in the background: who answers is (still) a contact, who doesn't leaves. */
  private check(contact: Contact): void {
    if (this.state !== 'running' || this.checking.size >= 256) return;
    if (this.checking.has(contact.nodeId)) return;
    this.checking.add(contact.nodeId);
    this.call(contact, 'PING', {})
      .catch((error: unknown) =>
        this.logger.trace({ node: contact.nodeId, error: messageOf(error) }, 'a ping failed'),
      )
      .finally(() => this.checking.delete(contact.nodeId));
  }

  private onFindNode(params: unknown): Promise<unknown> {
    const target = idField(params, 'target');
    return Promise.resolve({ contacts: this.routingTable.closest(target, this.options.k) });
  }

  private onFindValue(params: unknown): Promise<unknown> {
    const key = idField(params, 'key');
    const value = this.live(key);
    if (value !== undefined) return Promise.resolve({ value: toBase64(value) });
    return Promise.resolve({ contacts: this.routingTable.closest(key, this.options.k) });
  }

  private async onStore(params: unknown, sender: NodeId): Promise<unknown> {
    const key = idField(params, 'key');
    const ttl = field(params, 'ttl');
    if (typeof ttl !== 'number' || !(ttl > 0)) {
      throw new KadError('KAD_BAD_PARAMETERS', 'ttl is not a positive number of milliseconds');
    }
    const value = parseValue(key, field(params, 'value'));
    if (this.storage.get(key) === undefined) this.charge(sender, value.length);
    await this.keep(key, value, Math.min(ttl, this.options.expireMs));
    return { stored: true };
  }

  /** @throws KadError KAD_FULL when the sender has sent more new values than it may in an hour. */
  private charge(sender: NodeId, size: number): void {
    const now = this.clock.now();
    const last = this.taken.get(sender);
    const current = last !== undefined && now - last.since < HOUR ? last : { bytes: 0, since: now };
    const bytes = current.bytes + size;
    if (bytes > this.options.senderBytes) {
      throw new KadError(
        'KAD_FULL',
        `this node takes at most ${this.options.senderBytes} bytes of values an hour from one sender`,
      );
    }
    this.taken.set(sender, { bytes, since: current.since });
  }

  /** A value that we keep, checked against its key, unless it has expired. */
  private live(key: string): Uint8Array | undefined {
    const entry = this.storage.get(key);
    if (entry === undefined || entry.expires <= this.clock.now()) return undefined;
    if (Buffer.from(sha256(entry.value)).toString('hex') !== key) {
      this.logger.error({ key }, 'a stored value is damaged: it is dropped');
      void this.storage.delete(key);
      return undefined;
    }
    return entry.value;
  }

  private async keep(key: string, value: Uint8Array, ttl: number): Promise<void> {
    const now = this.clock.now();
    const expires = Math.max(now + ttl, this.storage.get(key)?.expires ?? 0);
    await this.storage.put(key, { value, expires, refreshed: now });
  }

  private schedule(): void {
    // Jitter keeps the nodes of a network from working in step.
    const delay = this.options.maintenanceMs * (0.75 + randomFraction(this.random) / 2);
    this.timer = this.clock.setTimeout(() => {
      this.maintain()
        .catch((error: unknown) =>
          this.logger.warn({ error: messageOf(error) }, 'maintenance did not finish'),
        )
        .finally(() => {
          if (this.state === 'running') this.schedule();
        });
    }, delay);
    if (this.timer instanceof Object && 'unref' in this.timer)
      (this.timer as NodeJS.Timeout).unref();
  }

  /** Expire, refresh and republish what is due. Called by the node itself; tests call it too. */
  maintain(): Promise<void> {
    this.working = this.working.catch(() => undefined).then(() => this.maintainNow());
    return this.working;
  }

  private async maintainNow(): Promise<void> {
    await this.expireValues();
    await this.findLost();
    await this.refreshBuckets();
    await this.republish();
  }

  /** Try some of the contacts that were lost: who answers is in the table again. */
  private async findLost(): Promise<void> {
    const now = this.clock.now();
    for (const [nodeId, { contact, since }] of [...this.lost].slice(0, this.options.alpha)) {
      if (this.state !== 'running') return;
      this.lost.delete(nodeId);
      if (now - since > this.options.expireMs || this.routingTable.get(nodeId) !== undefined)
        continue;
      try {
        await this.call(contact, 'PING', {});
      } catch {
        // To the end of the queue.
        this.lost.set(nodeId, { contact, since });
      }
    }
  }

  private async expireValues(): Promise<void> {
    const now = this.clock.now();
    for (const { key, expires } of [...this.storage.entries()]) {
      // The publisher's own copy stays: a machine that slept has it to publish again.
      if (expires <= now && !this.published.has(key)) await this.storage.delete(key);
    }
  }

  private async refreshBuckets(): Promise<void> {
    const { refreshMs } = this.options;
    const lowest = this.routingTable.lowestBucket();
    for (let index = lowest; index < ID_BITS && index >= 0; index += 1) {
      if (this.state !== 'running') return;
      if (this.clock.now() - this.refreshed[index]! < refreshMs) continue;
      this.refreshed[index] = this.clock.now();
      await this.lookup(randomIdInBucket(this.identity.nodeId, index, this.random));
    }
  }

  private async republish(): Promise<void> {
    const { republishMs, publishMs, expireMs } = this.options;
    for (const { key, expires, refreshed } of [...this.storage.entries()]) {
      if (this.state !== 'running') return;
      const now = this.clock.now();
      const publishedAt = this.published.get(key);
      const ours = publishedAt !== undefined && now - publishedAt >= publishMs;
      const due = now - refreshed >= republishMs * (0.9 + randomFraction(this.random) / 5);
      if (!ours && !due) continue;
      const entry = this.storage.get(key);
      if (entry === undefined || (!ours && expires <= now)) continue;
      // Who republishes for others passes on the time that is left, so that a value whose
      // publisher is gone ends when it should.
      const ttl = ours ? expireMs : expires - now;
      const stored = await this.spread(key, entry.value, ttl);
      // When nobody took it, it stays due.
      const renewed = ours && stored > 0;
      if (renewed) this.published.set(key, now);
      const meanwhile = this.storage.get(key);
      if (meanwhile === undefined) continue;
      await this.storage.put(key, {
        value: entry.value,
        expires: Math.max(renewed ? now + expireMs : expires, meanwhile.expires),
        refreshed: now,
      });
    }
  }
}

/** Whether an error means that nobody answered (and not that somebody answered with an error). */
function isSilence(error: unknown): boolean {
  return (
    error instanceof KadError &&
    ['KAD_UNREACHABLE', 'KAD_TIMEOUT', 'KAD_IDENTITY_MISMATCH', 'KAD_BAD_CERTIFICATE'].includes(
      error.code,
    )
  );
}

function opt(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) {
    throw new KadError('KAD_BAD_PARAMETERS', 'an object was expected');
  }
  return (value as Record<string, unknown>)[name];
}

function idField(value: unknown, name: string): NodeId {
  const id = field(value, name);
  if (!isNodeId(id)) {
    throw new KadError('KAD_BAD_PARAMETERS', `${name} is not 64 lower-case hex digits`);
  }
  return id;
}

function toBase64(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
}

/** The bytes of a value from the network, which must hash to its key. */
function parseValue(key: string, text: unknown): Uint8Array {
  if (typeof text !== 'string' || text.length > Math.ceil(MAX_VALUE_SIZE / 3) * 4) {
    throw new KadError(
      'KAD_BAD_PARAMETERS',
      `value is not base64 of at most ${MAX_VALUE_SIZE} bytes`,
    );
  }
  const value = new Uint8Array(Buffer.from(text, 'base64'));
  if (value.length > MAX_VALUE_SIZE || Buffer.from(sha256(value)).toString('hex') !== key) {
    throw new KadError('KAD_BAD_PARAMETERS', 'the value does not hash to its key');
  }
  return value;
}
