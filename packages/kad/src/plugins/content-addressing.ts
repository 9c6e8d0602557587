import { fromBase64, toBase64, toHex } from '../bytes.js';
import type { Contact } from '../contact.js';
import { KadError, messageOf, throwIfAborted } from '../errors.js';
import { field, idField } from '../fields.js';
import { LruMap } from '../lru-map.js';
import { type NodeId, compareDistance, isNodeId } from '../node-id.js';
import type { Plugin, PluginHooks, PluginHost } from '../plugin.js';
import { randomFraction } from '../random.js';
import { parseContacts } from '../rpc.js';
import { sha256 } from '../sha256.js';
import { MAX_VALUE_SIZE, type ValueStore } from '../value-store.js';

const HOUR = 3600 * 1000;

/**
 * Values named by their bytes: the key of a value is its SHA-256, checked by who stores it and by
 * who reads it. FIND_VALUE, STORE, republishing, expiry and caching along the path (Kademlia,
 * sections 2.3 and 2.5). Every node that is made with a storage has this plugin.
 */
export class ContentAddressing implements Plugin {
  readonly name = 'content-addressing';
  /** Keys of our own values, and when we last sent them out. */
  private readonly published = new Map<string, number>();
  /** Bytes of new values from each sender in the hour that began at `since`. */
  private readonly taken = new LruMap<NodeId, { bytes: number; since: number }>(10_000);
  private installed: PluginHost | undefined;

  constructor(private readonly storage: ValueStore) {}

  install(host: PluginHost): PluginHooks {
    this.installed = host;
    return {
      methods: {
        FIND_VALUE: (params) => this.onFindValue(params),
        STORE: (params, { sender }) => this.onStore(params, sender.nodeId),
      },
      maintain: async () => {
        await this.expireValues();
        await this.republish();
      },
      leave: (signal) => this.handOver(signal),
      stop: () => this.storage.close(),
    };
  }

  private get host(): PluginHost {
    if (this.installed === undefined) {
      throw new KadError('KAD_BAD_PARAMETERS', 'the plugin belongs to no node yet');
    }
    return this.installed;
  }

  /** See {@link KademliaNode.put}. */
  async put(
    value: Uint8Array,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<{ key: string; stored: number }> {
    if (value.length > MAX_VALUE_SIZE) {
      throw new KadError('KAD_TOO_LARGE', `a value has at most ${MAX_VALUE_SIZE} bytes`);
    }
    const { clock, options } = this.host;
    const key = keyOf(value);
    const stored = await this.spread(key, value, options.expireMs, signal);
    if (stored === 0) {
      throwIfAborted(signal);
      throw new KadError('KAD_UNREACHABLE', 'no node took the value: join a network first');
    }
    await this.keep(key, value, options.expireMs);
    this.published.set(key, clock.now());
    return { key, stored };
  }

  /** See {@link KademliaNode.get}. */
  async get(key: string, { signal }: { signal?: AbortSignal } = {}): Promise<Uint8Array> {
    if (!isNodeId(key)) {
      throw new KadError('KAD_BAD_PARAMETERS', 'a key has 64 lower-case hex digits');
    }
    const own = this.live(key);
    if (own !== undefined) return own;
    const { node, options } = this.host;
    const limits = signal === undefined ? {} : { signal };
    const empty: Contact[] = [];
    const { value } = await node.find<Uint8Array>(
      { target: key, kind: 'value', ...limits },
      async (contact) => {
        const answer = await node.call(contact, 'FIND_VALUE', { key }, limits);
        const value = field(answer, 'value');
        if (value !== undefined) return { contacts: [], value: parseValue(key, value) };
        empty.push(contact);
        return { contacts: parseContacts(field(answer, 'contacts'), options.k) };
      },
    );
    if (value === undefined) {
      throw new KadError('KAD_NOT_FOUND', `no node has a value for ${key}`);
    }
    this.cacheAlongPath(key, value, empty);
    return value;
  }

  /** Caching along the path (section 2.3): the closest node that had not the value gets it for a while. */
  private cacheAlongPath(key: string, value: Uint8Array, empty: Contact[]): void {
    const { node, options, logger } = this.host;
    const [closest] = empty.sort((a, b) => compareDistance(a.nodeId, b.nodeId, key));
    if (closest === undefined) return;
    const ttl = options.cacheMs;
    node
      .call(closest, 'STORE', { key, value: toBase64(value), ttl })
      .catch((error: unknown) =>
        logger.debug({ error: messageOf(error) }, 'a value was not cached'),
      );
  }

  private async spread(
    key: string,
    value: Uint8Array,
    ttl: number,
    signal?: AbortSignal,
  ): Promise<number> {
    const { node } = this.host;
    const limits = signal === undefined ? {} : { signal };
    const { contacts } = await node.lookup(key, limits);
    const params = { key, value: toBase64(value), ttl };
    const results = await Promise.allSettled(
      contacts.map((contact) => node.call(contact, 'STORE', params, limits)),
    );
    return results.filter(({ status }) => status === 'fulfilled').length;
  }

  private async onFindValue(params: unknown): Promise<unknown> {
    const key = idField(params, 'key');
    const value = this.live(key);
    if (value !== undefined) return { value: toBase64(value) };
    const { node, options } = this.host;
    return { contacts: node.routingTable.closest(key, options.k) };
  }

  private async onStore(params: unknown, sender: NodeId): Promise<unknown> {
    const key = idField(params, 'key');
    const ttl = field(params, 'ttl');
    if (typeof ttl !== 'number' || !(ttl > 0)) {
      throw new KadError('KAD_BAD_PARAMETERS', 'ttl is not a positive number of milliseconds');
    }
    const value = parseValue(key, field(params, 'value'));
    if (this.storage.get(key) === undefined) this.charge(sender, value.length);
    await this.keep(key, value, Math.min(ttl, this.host.options.expireMs));
    return { stored: true };
  }

  /** @throws KadError KAD_FULL when the sender has sent more new values than it may in an hour. */
  private charge(sender: NodeId, size: number): void {
    const { clock, options } = this.host;
    const now = clock.now();
    const last = this.taken.get(sender);
    const current = last !== undefined && now - last.since < HOUR ? last : { bytes: 0, since: now };
    const bytes = current.bytes + size;
    if (bytes > options.senderBytes) {
      throw new KadError(
        'KAD_FULL',
        `this node takes at most ${options.senderBytes} bytes of values an hour from one sender`,
      );
    }
    this.taken.set(sender, { bytes, since: current.since });
  }

  /** A value that we keep, checked against its key, unless it has expired. */
  private live(key: string): Uint8Array | undefined {
    const { clock, logger } = this.host;
    const entry = this.storage.get(key);
    if (entry === undefined || entry.expires <= clock.now()) return undefined;
    if (keyOf(entry.value) !== key) {
      logger.error({ key }, 'a stored value is damaged: it is dropped');
      void this.storage.delete(key);
      return undefined;
    }
    return entry.value;
  }

  private async keep(key: string, value: Uint8Array, ttl: number): Promise<void> {
    const now = this.host.clock.now();
    const expires = Math.max(now + ttl, this.storage.get(key)?.expires ?? 0);
    await this.storage.put(key, { value, expires, refreshed: now });
  }

  private async expireValues(): Promise<void> {
    const now = this.host.clock.now();
    for (const { key, expires } of [...this.storage.entries()]) {
      // The publisher's own copy stays: a machine that slept has it to publish again.
      if (expires <= now && !this.published.has(key)) await this.storage.delete(key);
    }
  }

  private async republish(): Promise<void> {
    const { node, clock, random, options } = this.host;
    const { republishMs, publishMs, expireMs } = options;
    for (const { key, expires, refreshed } of [...this.storage.entries()]) {
      if (!node.running) return;
      const now = clock.now();
      const publishedAt = this.published.get(key);
      const ours = publishedAt !== undefined && now - publishedAt >= publishMs;
      const due = now - refreshed >= republishMs * (0.9 + randomFraction(random) / 5);
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

  /** When we leave, the next node in line for each of our values gets it. */
  private async handOver(signal: AbortSignal): Promise<void> {
    const { node, clock, options } = this.host;
    for (const { key, expires } of [...this.storage.entries()]) {
      if (signal.aborted) return;
      const ttl = expires - clock.now();
      const entry = this.storage.get(key);
      const heir = node.routingTable.closest(key, options.k).at(-1);
      if (ttl <= 0 || entry === undefined || heir === undefined) continue;
      const params = { key, value: toBase64(entry.value), ttl };
      await node.call(heir, 'STORE', params, { signal }).catch(() => undefined);
    }
  }
}

function keyOf(value: Uint8Array): string {
  return toHex(sha256(value));
}

/** The bytes of a value from the network, which must hash to its key. */
function parseValue(key: string, text: unknown): Uint8Array {
  if (typeof text !== 'string' || text.length > Math.ceil(MAX_VALUE_SIZE / 3) * 4) {
    throw new KadError(
      'KAD_BAD_PARAMETERS',
      `value is not base64 of at most ${MAX_VALUE_SIZE} bytes`,
    );
  }
  const value = fromBase64(text);
  if (value.length > MAX_VALUE_SIZE || keyOf(value) !== key) {
    throw new KadError('KAD_BAD_PARAMETERS', 'the value does not hash to its key');
  }
  return value;
}
