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
  messageOf,
  proxiedKademliaOptions,
  ShortLivedBuffers,
  silentLogger,
  standardPlugins,
  systemClock,
  systemRandom,
} from '@granary/kad';
import {
  GET_SHARE_METHOD,
  type ShareLink,
  type ShareRecord,
  parseShareLink,
  parseShareRecord,
  shareKeyOf,
} from '@granary/protocol';
import { anySignal } from './any-signal.js';
import { ConnectionPool } from './connection-pool.js';
import { FarmerRefusal, RenterError } from './errors.js';
import { NetworkAccess } from './network-access.js';
import { type SegmentedObject, checkRange, readSegments } from './object-download.js';
import type { GetOptions } from './renter-types.js';
import { NotEnoughShards, type ShardFetching } from './segment-download.js';
import { type SegmentEngine, defaultEngine } from './segment-engine.js';
import { type RenterSettings, defaultSettings, proxiedSettings } from './settings.js';
import {
  type ShareKeys,
  type SharePage,
  type SharedObjectHead,
  type SharedSegment,
  layoutOfShared,
  openSharePage,
  shareKeysOf,
} from './share-pages.js';

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

/** What a link leads to. Times are milliseconds since the epoch. */
export interface SharedObjectInfo {
  /** The object's own name, without what was before it. It comes from the owner: treat it as such. */
  readonly name: string;
  readonly size: number;
  /** Of the whole content, in hex. */
  readonly sha256: string;
  /** When the object was stored. */
  readonly stored: number;
  /** When it was shared. */
  readonly shared: number;
  /** When the link ends; null when it has no end of its own. */
  readonly expires: number | null;
}

const TIMEOUT_MS = 10_000;
/** How long other nodes are waited for when one has the record: it may be an old one. */
const NEWER_MS = 1_500;
/** Nodes asked beyond those nearest to a record, when none of these has it. */
const EXTRA_NODES = 64;
/** Pages kept in memory. */
const MAX_PAGES = 16;
/** Between two joins by the addresses that were given, in milliseconds. */
const REJOIN_MS = 30_000;
/** Between two looks for a newer page, in milliseconds. */
const LOOK_AGAIN_MS = 5_000;

interface KeptPage {
  readonly sequence: number;
  readonly at: number;
  readonly page: Extract<SharePage, { kind: 'open' }>;
}

/**
 * Open a share link: no account, no keys, nothing kept. The node that does so is a new one; farmers it
 * meets with the identity that comes from the link.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED for a link that is none; RenterError
 * RENTER_NETWORK_UNREACHABLE, RENTER_NOT_FOUND, RENTER_SHARE, RENTER_SHARE_ENDED or
 * RENTER_SHARE_EXPIRED.
 */
export async function openShare(
  link: string | Pick<ShareLink, 'share' | 'secret' | 'addresses'>,
  parts: SharedObjectParts = {},
): Promise<SharedObject> {
  return SharedObject.open(typeof link === 'string' ? parseShareLink(link) : link, parts);
}

/** An object that is read by a link. */
export class SharedObject {
  private readonly pages = new Map<number, KeptPage>();
  private readonly loading = new Map<number, Promise<KeptPage>>();
  private head!: SharedObjectHead;

  private constructor(
    private readonly link: Pick<ShareLink, 'share'>,
    private readonly keys: ShareKeys,
    private readonly network: NetworkAccess,
    private readonly core: ShardFetching & {
      readonly engine: SegmentEngine;
      readonly settings: RenterSettings;
    },
    private readonly pool: ConnectionPool,
    private readonly closing: AbortController,
  ) {}

  /** See {@link openShare}. */
  static async open(
    link: Pick<ShareLink, 'share' | 'secret' | 'addresses'>,
    parts: SharedObjectParts,
  ): Promise<SharedObject> {
    const { logger = silentLogger, clock = systemClock, random = systemRandom } = parts;
    const keys = shareKeysOf(link.share, link.secret);
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
    const bootstrap = [...link.addresses, ...(parts.bootstrap ?? [])].filter(dials);
    const network = new NetworkAccess(node, bootstrap, () => Promise.resolve([]), logger, dials);
    const directory = new SharedFarmers(network, clock);
    const pool = new ConnectionPool(
      {
        identity,
        ...(credentials !== undefined && { credentials }),
        ...(dialer !== undefined && { dialer }),
        clock,
        random,
        connectTimeoutMs: settings.connectTimeoutMs,
        stallTimeoutMs: settings.stallTimeoutMs,
        buffers: new ShortLivedBuffers(),
      },
      directory,
      // Whoever reads does not pay.
      () => Promise.resolve(false),
      logger,
    );
    const store = { changeContract: () => Promise.resolve() };
    const engine = parts.engine ?? defaultEngine(clock);
    const core = { pool, directory, store, settings, clock, logger, engine };
    const closing = new AbortController();
    const shared = new SharedObject(link, keys, network, core, pool, closing);
    try {
      const signal = shared.signalOf(parts.signal);
      await network.join();
      const { page } = await shared.pageOf(0, signal);
      // The first page always says what is shared: it was checked when it was opened.
      shared.head = page.object!;
      return shared;
    } catch (error) {
      await shared.close();
      throw error;
    }
  }

  /** What the link leads to. */
  get info(): SharedObjectInfo {
    const { name, size, sha256, stored, shared, expires } = this.head;
    return { name, size, sha256, stored, shared, expires };
  }

  /**
   * Read the object, or a range of it. Every byte was verified before it is handed out. Stopping the
   * iteration stops the transfers.
   *
   * @throws RenterError RENTER_RANGE, RENTER_NOT_ENOUGH_SHARDS, RENTER_SHARE_ENDED,
   * RENTER_SHARE_EXPIRED, RENTER_SHARE_LIMIT, …
   */
  async *read(options: GetOptions = {}): AsyncGenerator<Uint8Array> {
    const { head } = this;
    const offset = options.offset ?? 0;
    const length = options.length ?? head.size - offset;
    checkRange(head, offset, length);
    this.checkTime();
    const signal = this.signalOf(options.signal);
    const object: SegmentedObject = {
      layout: layoutOfShared(head),
      segmentBytes: head.segmentBytes,
      segment: (index) => this.segment(index, signal),
      moved: (index, error) => this.moved(index, error, signal),
    };
    yield* readSegments(this.core, object, { offset, length }, options.onProgress, signal);
  }

  /** Stop what is under way and free everything. */
  async close(): Promise<void> {
    if (this.closing.signal.aborted) return;
    this.closing.abort(new RenterError('RENTER_CLOSED', 'the share was closed'));
    this.pool.close();
    await this.network.node.stop();
    await this.core.engine.close();
  }

  private signalOf(signal: AbortSignal | undefined): AbortSignal {
    return anySignal(signal === undefined ? [this.closing.signal] : [signal, this.closing.signal]);
  }

  private checkTime(): void {
    const { expires } = this.head;
    if (expires !== null && expires <= this.core.clock.now()) throw expired(expires);
  }

  private async segment(index: number, signal: AbortSignal): Promise<SharedSegment> {
    const number = Math.floor(index / this.head.perPage);
    const { page } = await this.pageOf(number, signal);
    const segment = page.segments.get(index);
    if (segment === undefined) {
      throw new RenterError('RENTER_SHARE', `the share does not say where segment ${index} is`);
    }
    return segment;
  }

  /** Repairs may have moved shards: look whether the owner has said so, or why there is nothing more. */
  private async moved(index: number, error: unknown, signal: AbortSignal): Promise<boolean> {
    if (!(error instanceof NotEnoughShards)) return false;
    this.checkTime();
    const number = Math.floor(index / this.head.perPage);
    const before = this.pages.get(number);
    const { clock } = this.core;
    if (before === undefined || clock.now() - before.at >= LOOK_AGAIN_MS || isRefusal(error)) {
      // The first page says it when the share came to its end.
      if (number !== 0) await this.load(0, signal);
      const now = await this.load(number, signal);
      if (now.sequence > (before?.sequence ?? 0)) return true;
    }
    const why = explain(error);
    if (why !== undefined) throw why;
    return false;
  }

  private async pageOf(number: number, signal: AbortSignal): Promise<KeptPage> {
    return this.pages.get(number) ?? this.load(number, signal);
  }

  /** Fetch a page; those who want it at one time share the work. */
  private load(number: number, signal: AbortSignal): Promise<KeptPage> {
    const running = this.loading.get(number);
    if (running !== undefined) return running;
    const task = this.fetchPage(number, signal).finally(() => this.loading.delete(number));
    this.loading.set(number, task);
    return task;
  }

  private async fetchPage(number: number, signal: AbortSignal): Promise<KeptPage> {
    const record = await this.find(number, signal);
    const page = await openSharePage(this.keys, record, this.head);
    if (page.kind === 'ended') throw ended(page.why, page.at);
    const { object } = page;
    if (number === 0 && object !== undefined) {
      const { expires } = object;
      if (expires !== null && expires <= this.core.clock.now()) throw expired(expires);
    }
    const kept = { sequence: record.body.sequence, at: this.core.clock.now(), page };
    if (this.pages.size >= MAX_PAGES) this.pages.delete(this.pages.keys().next().value!);
    this.pages.set(number, kept);
    return kept;
  }

  /** The newest record of a page that any node has. */
  private async find(number: number, signal: AbortSignal, again = false): Promise<ShareRecord> {
    const { share } = this.link;
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
    const { share } = this.link;
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

const refusals = ({ reasons }: NotEnoughShards) =>
  reasons.flatMap((reason) => (reason instanceof FarmerRefusal ? [reason.code] : []));

function isRefusal(error: NotEnoughShards): boolean {
  return refusals(error).length > 0;
}

/** What it means that farmers refuse what a share asks for; undefined when it means nothing more. */
function explain(error: NotEnoughShards): RenterError | undefined {
  const codes = refusals(error);
  const cause = { cause: error };
  if (codes.includes('FARMER_REVOKED')) {
    return new RenterError('RENTER_SHARE_ENDED', 'the owner has taken this share back', cause);
  }
  if (codes.includes('PROTOCOL_EXPIRED')) {
    return new RenterError(
      'RENTER_SHARE_EXPIRED',
      "farmers' leave to serve this share has expired, and its owner has not renewed it",
      cause,
    );
  }
  if (codes.includes('FARMER_USED_UP')) {
    return new RenterError(
      'RENTER_SHARE_LIMIT',
      'this share was read as often as its owner has allowed: ask for another one',
      cause,
    );
  }
  if (codes.includes('FARMER_UNPAID')) {
    return new RenterError(
      'RENTER_SHARE_LIMIT',
      "farmers wait to be paid by the share's owner for what was read: try again later",
      cause,
    );
  }
  if (codes.filter((code) => code === 'FARMER_NOT_FOUND').length > error.spare) {
    return new RenterError(
      'RENTER_SHARE_ENDED',
      'farmers have no longer what was shared: its owner has deleted or replaced it',
      cause,
    );
  }
  return undefined;
}

const ENDINGS = {
  revoked: 'its owner has taken this share back',
  deleted: 'its owner has deleted what was shared',
  replaced: 'its owner has replaced what was shared by another version: ask for another link',
} as const;

const day = (ms: number) => `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;

function ended(why: keyof typeof ENDINGS, at: number): RenterError {
  return new RenterError('RENTER_SHARE_ENDED', `${ENDINGS[why]} (${day(at)})`);
}

function expired(at: number): RenterError {
  return new RenterError('RENTER_SHARE_EXPIRED', `this share has expired (${day(at)})`);
}
