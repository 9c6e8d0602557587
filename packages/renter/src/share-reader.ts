import { openNodeTransport } from '#renter/node-transport';
import {
  type Clock,
  type Contact,
  type Dialer,
  Identity,
  KademliaNode,
  type Logger,
  MemoryValueStore,
  type NodeId,
  type Random,
  ShortLivedBuffers,
  messageOf,
  proxiedKademliaOptions,
  silentLogger,
  standardPlugins,
  systemClock,
  systemRandom,
} from '@granary/kad';
import {
  GET_SHARE_METHOD,
  type ShareRecord,
  parseShareRecord,
  shareKeyOf,
} from '@granary/protocol';
import { anySignal } from './any-signal.js';
import { ConnectionPool } from './connection-pool.js';
import { RenterError } from './errors.js';
import { NetworkAccess } from './network-access.js';
import type { ShardFetching } from './segment-download.js';
import { type SegmentEngine, defaultEngine } from './segment-engine.js';
import { type RenterSettings, defaultSettings, proxiedSettings } from './settings.js';
import type { ShareKeys } from './share-pages.js';

/** What reads a share. */
export interface SharedObjectParts {
  /** Addresses of nodes to join by, besides those in the link. */
  readonly bootstrap?: readonly string[];
  readonly logger?: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly settings?: Partial<RenterSettings>;
  /** It is closed with the share. */
  readonly engine?: SegmentEngine;
  /** How connections are opened; from this machine itself when not given. */
  readonly dialer?: Dialer;
  /** Leading zero bits of work that the network asks of node identities. Default 0. */
  readonly difficulty?: number;
  readonly signal?: AbortSignal;
}

const TIMEOUT_MS = 10_000;
/** How long other nodes are waited for when one has the record: it may be an old one. */
const NEWER_MS = 1_500;
/** Nodes asked beyond those nearest to a record, when none of these has it. */
const EXTRA_NODES = 64;
/** Between two joins by the addresses that were given, in milliseconds. */
const REJOIN_MS = 30_000;

/** What reads the segments of something that is shared. */
export interface ShareReading extends ShardFetching {
  readonly engine: SegmentEngine;
  readonly buffers: ShortLivedBuffers;
  readonly settings: RenterSettings;
}

/**
 * Who reads by a link or an access grant: a node of the DHT that is a new one, and an identity for farmers
 * that comes from the secret. Nothing is kept.
 */
export class ShareReader {
  private constructor(
    /** The node ID of who signs the records. */
    private readonly owner: string,
    readonly keys: ShareKeys,
    private readonly network: NetworkAccess,
    readonly core: ShareReading,
    private readonly pool: ConnectionPool,
    private readonly closing: AbortController,
  ) {}

  /** Join the network. @throws RenterError RENTER_NETWORK_UNREACHABLE. */
  static async open(
    owner: string,
    keys: ShareKeys,
    addresses: readonly string[],
    parts: SharedObjectParts,
  ): Promise<ShareReader> {
    const { logger = silentLogger, clock = systemClock, random = systemRandom } = parts;
    const identity = keys.reader;
    // Everybody who has the link is the same reader, and limits of the DHT are for each node.
    const own = Identity.generate();
    const proxied = parts.dialer?.direct === false;
    const settings = { ...defaultSettings, ...(proxied && proxiedSettings), ...parts.settings };
    const outwards = {
      clock,
      logger,
      ...(parts.dialer !== undefined && { dialer: parts.dialer }),
    };
    const { transport } = await openNodeTransport({ identity: own, ...outwards });
    const { credentials, dialer } = await openNodeTransport({ identity, ...outwards });
    const node = new KademliaNode({
      identity: own,
      transport,
      storage: new MemoryValueStore(),
      plugins: standardPlugins({ difficulty: parts.difficulty ?? 0 }),
      ...(proxied && { options: proxiedKademliaOptions }),
      logger,
      clock,
      random,
    });
    await node.start();
    const dials = (address: string) => transport.dials?.(address) ?? true;
    const bootstrap = [...addresses, ...(parts.bootstrap ?? [])].filter(dials);
    const network = new NetworkAccess(node, bootstrap, () => Promise.resolve([]), logger, dials);
    const directory = new SharedFarmers(network, clock);
    const buffers = new ShortLivedBuffers();
    const pool = new ConnectionPool(
      {
        identity,
        ...(credentials !== undefined && { credentials }),
        ...(dialer !== undefined && { dialer }),
        clock,
        random,
        connectTimeoutMs: settings.connectTimeoutMs,
        stallTimeoutMs: settings.stallTimeoutMs,
        buffers,
      },
      directory,
      // Whoever reads does not pay.
      () => Promise.resolve(false),
      logger,
    );
    const store = { changeContract: () => Promise.resolve() };
    const engine = parts.engine ?? defaultEngine(clock);
    const core = { pool, directory, store, settings, clock, logger, engine, buffers };
    const closing = new AbortController();
    const reader = new ShareReader(owner, keys, network, core, pool, closing);
    try {
      await network.join();
      parts.signal?.throwIfAborted();
      return reader;
    } catch (error) {
      await reader.close();
      throw error;
    }
  }

  /** Nodes of the network that are known here. */
  get nodes(): number {
    return this.network.node.contacts().length;
  }

  /** A signal that also comes when the reader is closed. */
  signalOf(signal: AbortSignal | undefined): AbortSignal {
    return anySignal(signal === undefined ? [this.closing.signal] : [signal, this.closing.signal]);
  }

  /** Stop what is under way and free everything. */
  async close(): Promise<void> {
    if (this.closing.signal.aborted) return;
    this.closing.abort(new RenterError('RENTER_CLOSED', 'the share was closed'));
    this.pool.close();
    await this.network.node.stop();
    await this.core.engine.close();
  }

  /**
   * The newest record of a page that any node has.
   *
   * @throws RenterError RENTER_NOT_FOUND when none has one.
   */
  async find(number: number, signal: AbortSignal, again = false): Promise<ShareRecord> {
    const share = this.owner;
    const { node } = this.network;
    const { contacts } = await node.lookup(shareKeyOf(share, number), { signal });
    const found = await this.ask(contacts, number, signal);
    if (found !== undefined) return found;
    const others = node
      .contacts()
      .filter((contact) => !contacts.some((near) => near.nodeId === contact.nodeId))
      .slice(0, EXTRA_NODES);
    const far = await this.ask(others, number, signal);
    if (far !== undefined) return far;
    if (contacts.length === 0 && !again) {
      await this.network.rejoin();
      return this.find(number, signal, true);
    }
    throw new RenterError(
      'RENTER_NOT_FOUND',
      'no node of this network knows this share: the link is not whole, it ended long ago, or it is of ' +
        'another network',
    );
  }

  private async ask(
    contacts: readonly Contact[],
    number: number,
    signal: AbortSignal,
  ): Promise<ShareRecord | undefined> {
    const share = this.owner;
    const { clock, logger } = this.core;
    let newest: ShareRecord | undefined;
    let timer: unknown;
    let enough!: () => void;
    const patience = new Promise<void>((resolve) => (enough = resolve));
    const asked = contacts.map(async (contact) => {
      try {
        const params = { share, page: number };
        const options = { signal, timeoutMs: TIMEOUT_MS };
        const answer = await this.network.node.call(contact, GET_SHARE_METHOD, params, options);
        const { record } = answer as { record?: unknown };
        if (record === null || record === undefined) return;
        const one = parseShareRecord(record, params);
        if (newest === undefined || one.body.sequence > newest.body.sequence) newest = one;
        timer ??= clock.setTimeout(enough, NEWER_MS);
      } catch (error) {
        logger.debug({ node: contact.nodeId, error: messageOf(error) }, 'no share record had');
      }
    });
    await Promise.race([Promise.all(asked), patience]);
    clock.clearTimeout(timer);
    signal.throwIfAborted();
    return newest;
  }
}

/** Farmers as a reader knows them: where they are, and how they behaved since the share was opened. */
class SharedFarmers {
  private readonly contacts = new Map<NodeId, Promise<Contact>>();
  private readonly failures = new Map<NodeId, number>();
  /** The last join by the addresses that were given, how many there were, and when it began. */
  private rejoining: Promise<void> = Promise.resolve();
  private joins = 0;
  private joined: number;

  constructor(
    private readonly network: NetworkAccess,
    private readonly clock: Clock,
  ) {
    this.joined = clock.now();
  }

  contactOf(nodeId: NodeId, lookAgain = false): Promise<Contact> {
    const known = this.contacts.get(nodeId);
    if (known !== undefined && !lookAgain) return known;
    const search = this.search(nodeId);
    search.catch(() => this.contacts.delete(nodeId));
    this.contacts.set(nodeId, search);
    return search;
  }

  report(nodeId: NodeId, success: boolean): Promise<void> {
    if (success) this.failures.delete(nodeId);
    else this.failures.set(nodeId, (this.failures.get(nodeId) ?? 0) + 1);
    return Promise.resolve();
  }

  records(nodeIds: readonly NodeId[]) {
    const known = nodeIds.map(
      (nodeId) => [nodeId, { failures: this.failures.get(nodeId) ?? 0, latencyMs: 0 }] as const,
    );
    return Promise.resolve(new Map(known));
  }

  private async search(nodeId: NodeId): Promise<Contact> {
    const { joins } = this;
    let contact = await this.look(nodeId);
    if (contact === undefined && (await this.isJoinedSince(joins))) {
      contact = await this.look(nodeId);
    }
    if (contact !== undefined) return contact;
    throw new RenterError('RENTER_TRANSFER', `farmer ${nodeId} is not in the network now`);
  }

  private async look(nodeId: NodeId): Promise<Contact | undefined> {
    const { node } = this.network;
    const met = node.contacts().find((contact) => contact.nodeId === nodeId);
    const { contacts } = await node.lookup(nodeId);
    return contacts.find((found) => found.nodeId === nodeId) ?? met;
  }

  /** A page may be open for days: whom it knew may be gone. Join again, when the last time is long ago. */
  private async isJoinedSince(joins: number): Promise<boolean> {
    const now = this.clock.now();
    if (now - this.joined >= REJOIN_MS) {
      this.joined = now;
      this.joins += 1;
      this.rejoining = this.network.rejoin().catch(() => undefined);
    }
    await this.rejoining;
    return this.joins > joins;
  }
}
