import { exportStore, importStore, readObjectToFile } from '#renter/local-files';
import { openLocalRecords, openLocalRows } from '#renter/local-store';
import { openNodeTransport } from '#renter/node-transport';
import { enterProcesses } from '#renter/processes';
import {
  type Clock,
  type Contact,
  type Dialer,
  KademliaNode,
  type Logger,
  Mailbox,
  MemoryValueStore,
  type Plugin,
  PubSub,
  type Random,
  proxiedKademliaOptions,
  standardPlugins,
  ShortLivedBuffers,
  systemClock,
  systemRandom,
} from '@granary/kad';
import { Payer, PaymentBook, type Settlement, ledgerSettlement } from '@granary/payments';
import type { Manifest, PaymentTerms } from '@granary/protocol';
import { type AccessGrantInfo, AccessGrants, type GrantScope } from './access-grants.js';
import { all } from './all.js';
import { anySignal } from './any-signal.js';
import { type AuditKit, makeAuditKit } from './audit-kit.js';
import { type CareReport, type CareStatus, Caretaker } from './caretaker.js';
import { ConnectionPool, type DirectPaths } from './connection-pool.js';
import { contractEnd } from './contract-end.js';
import { reviewContracts } from './contract-review.js';
import { RenterError, messageOf } from './errors.js';
import { FarmerDirectory } from './farmer-directory.js';
import { type DeletionReport, collectGarbage } from './garbage-collector.js';
import { IndexPublisher } from './index-publisher.js';
import { Leases } from './leases.js';
import { OfferRound } from './offer-round.js';
import { NetworkAccess } from './network-access.js';
import {
  type HealthQuestion,
  type ObjectHealth,
  healthOfObjects,
  healthOfOne,
} from './object-health.js';
import { checkRange, readObject } from './object-download.js';
import { addressesForLink } from './link-addresses.js';
import { checkBucket, checkPath } from './object-path.js';
import { abandonUploads, abandonUploadsOf, putObject } from './object-upload.js';
import type { FileTarget, PutSource } from './put-source.js';
import type { FarmerRecord, ObjectPath } from './records.js';
import { type RecoveryReport, recover } from './recovery.js';
import type { RenterCore } from './renter-core.js';
import { explainReputation, pardon } from './reputation.js';
import type { RenterKeys } from './renter-keys.js';
import { type PaymentReport, RenterPayments } from './renter-payments.js';
import type { RecordDatabase } from './record-database.js';
import { INDEX_BUCKET } from './record-keys.js';
import { openRenterStore } from './renter-store.js';
import type {
  DeleteResult,
  FarmerStanding,
  GarbageReport,
  GetOptions,
  ObjectStat,
  ObjectSummary,
  PutOptions,
  PutResult,
  RenterStatus,
} from './renter-types.js';
import { type SegmentEngine, defaultEngine } from './segment-engine.js';
import { Budget } from './segment-pipeline.js';
import { type ShareCareReport, type ShareInfo, type ShareOptions, Sharing } from './sharing.js';
import {
  type RenterSettings,
  defaultSettings,
  proxiedSettings,
  segmentSizeFor,
} from './settings.js';

/** What a {@link Renter} is made of. */
export interface RenterParts {
  /**
   * Where its store is kept, unless `records` are given, and its book of payments. In a browser the name
   * that their databases begin with.
   */
  readonly directory: string;
  /** What its store is kept in. Default: LMDB in the directory. It is closed with the renter. */
  readonly records?: RecordDatabase;
  readonly keys: RenterKeys;
  /** Addresses of nodes to join by. */
  readonly bootstrap: readonly string[];
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly settings?: Partial<RenterSettings>;
  readonly engine?: SegmentEngine;
  /** Leading zero bits of work that the network asks of node identities. Default 0. */
  readonly difficulty?: number;
  /**
   * How connections to nodes and farmers are opened; from this machine itself when not given. One
   * that is not direct has its own defaults for patience ({@link proxiedSettings}).
   */
  readonly dialer?: Dialer;
  /** Plugins of the renter's node besides the usual ones. */
  readonly plugins?: readonly Plugin[];
  /**
   * Makes direct connections to farmers that can only be dialled through tunnels. Not used with a
   * dialer that is not direct.
   */
  readonly paths?: DirectPaths;
  /** How farmers that want to be paid on a chain are paid; without it only those are that use a ledger. */
  readonly settlement?: Settlement;
}

/** Time for a farmer to answer about payments: it may have to ask a chain. */
const PAY_TIMEOUT_MS = 60_000;
/** How long the holders of an object are asked at most, in milliseconds. */
const ASK_MS = 8_000;

/** Stores and reads objects. Several renters of one identity may share a directory. */
export class Renter {
  private readonly active = new Set<string>();
  private readonly closing = new AbortController();
  private readonly index: IndexPublisher;
  private readonly sharing: Sharing;
  private readonly grantsGiven: AccessGrants;
  private readonly caretaker: Caretaker;

  private constructor(
    private readonly core: RenterCore,
    private readonly network: NetworkAccess,
    private readonly leases: Leases,
  ) {
    this.index = new IndexPublisher(core, leases, (name, bytes, signal) =>
      this.storePart(name, bytes, signal),
    );
    this.sharing = new Sharing(core);
    this.grantsGiven = new AccessGrants(core, {
      leases,
      store: (name, bytes, signal) => this.storePart(name, bytes, signal),
      collect: (signal, contracts) => this.collect(signal, contracts),
    });
    this.caretaker = new Caretaker(core, {
      leases,
      abandon: () => abandonUploads(core, { active: this.active, leases }, false),
      collect: (signal) => this.collect(signal),
      publish: (signal, renew) => this.publishOrThrow(signal, renew),
      shares: (signal) => this.careForShares(signal),
    });
  }

  /** This renter's node of the DHT: it asks, and is not asked. */
  get node(): KademliaNode {
    return this.network.node;
  }

  /** Open a renter. The network is joined when it is first needed. @throws RenterError RENTER_STORE. */
  static async open(parts: RenterParts): Promise<Renter> {
    const { keys, logger } = parts;
    const clock = parts.clock ?? systemClock;
    const random = parts.random ?? systemRandom;
    const proxied = parts.dialer?.direct === false;
    const paths = proxied ? undefined : parts.paths;
    const settings = {
      ...defaultSettings,
      ...(proxied && proxiedSettings),
      ...parts.settings,
    };
    const records = parts.records ?? (await openLocalRecords(parts.directory));
    const store = await openRenterStore(records, keys.storeKey);
    const { transport, ...dialing } = await openNodeTransport({
      identity: keys.identity,
      clock,
      logger,
      ...(parts.dialer !== undefined && { dialer: parts.dialer }),
    });
    const pubsub = new PubSub();
    const mailbox = new Mailbox();
    const node = new KademliaNode({
      identity: keys.identity,
      transport,
      storage: new MemoryValueStore(),
      plugins: [
        ...standardPlugins({ difficulty: parts.difficulty ?? 0 }),
        pubsub,
        mailbox,
        ...(paths === undefined ? [] : [paths]),
        ...(parts.plugins ?? []),
      ],
      ...(proxied && { options: proxiedKademliaOptions }),
      logger,
      clock,
      random,
    });
    await node.start();
    const known = async () => (await all(store.farmers())).map(({ contact }) => contact);
    const network = new NetworkAccess(
      node,
      parts.bootstrap,
      known,
      logger,
      (address) => transport.dials?.(address) ?? true,
    );
    const directory = new FarmerDirectory(
      store,
      network,
      clock,
      random,
      logger,
      {
        round: new OfferRound({ node, pubsub, mailbox, clock, random, logger }),
        needs: () => ({
          shardSize: Math.ceil(segmentSizeFor(settings, settings.scheme) / settings.scheme.k),
          durationMs: settings.durationMs,
          maxStoragePrice: settings.maxStoragePrice,
          maxEgressPrice: settings.maxEgressPrice,
        }),
        when: settings.offers,
      },
      settings.reputation,
    );
    const payer = new Payer({
      identity: keys.identity,
      book: new PaymentBook(await openLocalRows(parts.directory), clock),
      settlementFor: (currency, terms) =>
        settlementFor(keys.identity.nodeId, parts.settlement, currency, terms),
      contractOf: (hash) => store.contract(hash),
      call: async (farmer, method, params, signal) => {
        await network.join();
        const contact = await directory.contactOf(farmer);
        return node.call(contact, method, params, { signal, timeoutMs: PAY_TIMEOUT_MS });
      },
      limits: settings.paying,
      clock,
      random,
      logger,
    });
    const payments = new RenterPayments(payer, directory, logger);
    const { connectTimeoutMs, stallTimeoutMs } = settings;
    const buffers = new ShortLivedBuffers();
    const context = {
      identity: keys.identity,
      ...dialing,
      clock,
      random,
      connectTimeoutMs,
      stallTimeoutMs,
      meter: payments,
      buffers,
    };
    const pool = new ConnectionPool(
      context,
      directory,
      (farmer, signal) => renter.clear(farmer, signal),
      logger,
      paths,
    );
    const engine = parts.engine ?? defaultEngine(clock);
    const core = {
      keys,
      store,
      network,
      directory,
      pool,
      payments,
      engine,
      buffers,
      uploadMemory: new Budget(settings.uploadMemory),
      settings,
      logger,
      clock,
      random,
    };
    const renter: Renter = new Renter(
      core,
      network,
      new Leases(store, clock, random, await enterProcesses()),
    );
    return renter;
  }

  /** Stop what is under way and free everything. */
  async close(): Promise<void> {
    if (this.closing.signal.aborted) return;
    this.closing.abort(new RenterError('RENTER_CLOSED', 'the renter was closed'));
    const { pool, engine, payments, store } = this.core;
    pool.close();
    await payments.close();
    this.core.directory.close();
    await this.node.stop();
    await engine.close();
    await store.close();
  }

  /**
   * Publish to all farmers what new objects need, and wait a moment for those that it suits. Uploads
   * do so themselves where it is worth it.
   *
   * @returns the farmers that answered
   */
  makeOffer(): Promise<Contact[]> {
    return this.core.directory.makeOffer(true);
  }

  /** Join the network now, and not only when it is needed. @throws RenterError RENTER_NETWORK_UNREACHABLE. */
  async join(): Promise<void> {
    await this.network.join();
  }

  /**
   * Store an object. When the promise resolves, at least `success` shards of every segment are on
   * the disks of as many farmers, and the manifest is on ours. An object of the same name is
   * replaced at that moment. A file's put that was cut off goes on where it was.
   *
   * @throws RenterError RENTER_SOURCE, RENTER_NOT_ENOUGH_FARMERS, RENTER_NETWORK_UNREACHABLE, …
   */
  async put(path: ObjectPath, source: PutSource, options: PutOptions = {}): Promise<PutResult> {
    checkPath(path);
    const signal = this.signalOf(options.signal);
    this.index.prepare(signal);
    const stored = await putObject(this.core, path, source, options, {
      signal,
      active: this.active,
      leases: this.leases,
    });
    await this.sharing.objectChanged(path, signal);
    await this.grantsGiven.objectChanged(path, signal);
    const indexFailure = await this.publish(signal);
    return { ...stored, garbage: await this.collect(signal), indexFailure };
  }

  /**
   * Read an object, or a range of it. Every byte was verified before it is handed out. Stopping the
   * iteration stops the transfers.
   *
   * @throws RenterError RENTER_NOT_FOUND, RENTER_RANGE, RENTER_NOT_ENOUGH_SHARDS, …
   */
  async *get(path: ObjectPath, options: GetOptions = {}): AsyncGenerator<Uint8Array> {
    const signal = this.signalOf(options.signal);
    const { manifest, end } = await this.beginReading(path);
    try {
      const offset = options.offset ?? 0;
      const length = options.length ?? manifest.size - offset;
      checkRange(manifest, offset, length);
      const { onProgress, onShard } = options;
      yield* readObject(this.core, manifest, { offset, length }, onProgress, signal, onShard);
    } finally {
      await end();
    }
  }

  /**
   * Read an object into a new file. The file appears whole, under its name, or not at all. A get
   * that was cut off goes on with what is there.
   *
   * @throws RenterError as {@link Renter.get}, and RENTER_DESTINATION.
   */
  async getToFile(
    path: ObjectPath,
    file: string | FileTarget,
    options: Omit<GetOptions, 'offset' | 'length'> = {},
  ): Promise<{ manifest: Manifest; resumedBytes: number }> {
    const signal = this.signalOf(options.signal);
    const { manifest, end } = await this.beginReading(path);
    try {
      return await readObjectToFile(this.core, manifest, file, options.onProgress, signal);
    } finally {
      await end();
    }
  }

  /** Objects of a bucket in order of name. `after` is a name that the listing begins behind. */
  async *list(
    bucket: string,
    options: { prefix?: string; after?: string; limit?: number } = {},
  ): AsyncGenerator<ObjectSummary> {
    checkBucket(bucket);
    const { prefix = '', after = '', limit = Infinity } = options;
    let count = 0;
    for await (const manifest of this.core.store.manifests(bucket, after, prefix)) {
      if (count++ >= limit) return;
      yield summaryOf(manifest);
    }
  }

  /** Names of the buckets, in order. A bucket is there as long as it holds something. */
  buckets(): AsyncIterable<string> {
    return this.core.store.buckets();
  }

  /** What a listing says of one object. @throws RenterError RENTER_NOT_FOUND. */
  async head(path: ObjectPath): Promise<ObjectSummary> {
    return summaryOf(await this.manifestOf(path));
  }

  /**
   * Everything about an object. Reads the records of all its segments; {@link Renter.head} does not.
   *
   * @throws RenterError RENTER_NOT_FOUND.
   */
  async stat(path: ObjectPath): Promise<ObjectStat> {
    const manifest = await this.manifestOf(path);
    const farmers = new Map<string, number>();
    let [shards, storedBytes, fewestShards, expires] = [0, 0, Infinity, Infinity];
    for await (const segment of this.core.store.segments(manifest.objectId)) {
      shards += segment.shards.length;
      storedBytes += segment.shards.length * segment.shardSize;
      fewestShards = Math.min(fewestShards, segment.shards.length);
      for (const { farmer } of segment.shards) farmers.set(farmer, (farmers.get(farmer) ?? 0) + 1);
      const known = await this.core.store.contracts(segment.shards.map((shard) => shard.contract));
      for (const record of known.values()) expires = Math.min(expires, contractEnd(record));
    }
    const records = await this.core.directory.records([...farmers.keys()]);
    return {
      ...summaryOf(manifest),
      bucket: manifest.bucket,
      scheme: manifest.scheme,
      segments: manifest.segments,
      shards,
      storedBytes,
      fewestShards: Number.isFinite(fewestShards) ? fewestShards : 0,
      expires: Number.isFinite(expires) ? expires : null,
      farmers: [...farmers].map(([nodeId, count]) => ({
        nodeId,
        address: records.get(nodeId)?.contact.addresses[0] ?? '',
        shards: count,
      })),
    };
  }

  /**
   * Delete an object: it is gone from here at once, and every farmer that can be reached deletes its
   * shards and signs for it. Those that can't are told later, by {@link Renter.collectGarbage}.
   *
   * @throws RenterError RENTER_NOT_FOUND.
   */
  async delete(path: ObjectPath, options: { signal?: AbortSignal } = {}): Promise<DeleteResult> {
    const manifest = await this.manifestOf(path);
    const contracts = new Set<string>();
    for await (const segment of this.core.store.segments(manifest.objectId)) {
      for (const { contract } of segment.shards) contracts.add(contract);
    }
    if (!(await this.core.store.removeObject(path))) throw notFound(path);
    const signal = this.signalOf(options.signal);
    // First nobody may be led to the shards any more, then they go.
    await this.sharing.objectChanged(path, signal);
    await this.grantsGiven.objectChanged(path, signal);
    const indexFailure = await this.publish(signal);
    return { ...(await this.collect(signal, contracts)), indexFailure };
  }

  /**
   * Give up the puts of a path that were cut off: they will not go on, and what they have stored is
   * deleted, now or by {@link Renter.collectGarbage}. A put that is at work is left alone.
   *
   * @returns how many were given up
   */
  async giveUp(path: ObjectPath, options: { signal?: AbortSignal } = {}): Promise<number> {
    checkPath(path);
    const { active, leases } = this;
    const count = await abandonUploadsOf(this.core, { active, leases }, path);
    if (count > 0) await this.collect(this.signalOf(options.signal));
    return count;
  }

  /**
   * Have deleted what earlier deletes, replaced versions and failed attempts have left. Uploads of
   * streams whose process is no more count as failed; with `unfinished` those of files do, too. Every
   * farmer that can be reached is asked what it holds of ours, so that nothing is overlooked.
   */
  async collectGarbage(
    options: { signal?: AbortSignal; unfinished?: boolean } = {},
  ): Promise<GarbageReport> {
    const signal = this.signalOf(options.signal);
    const worked = { active: this.active, leases: this.leases };
    await abandonUploads(this.core, worked, options.unfinished === true);
    await this.core.store.collectRetired(this.leases.isLive);
    await this.network.join();
    await this.core.directory.available();
    const review = await reviewContracts(this.core, signal);
    return { ...(await this.collect(signal)), review };
  }

  /**
   * Share an object: whoever has the link can read the version that is there now, without an account,
   * until the share ends. See {@link openShare}.
   *
   * @throws RenterError RENTER_NOT_FOUND, RENTER_SHARE, RENTER_NETWORK_UNREACHABLE.
   */
  async share(path: ObjectPath, options: ShareOptions = {}): Promise<ShareInfo> {
    checkPath(path);
    const signal = this.signalOf(options.signal);
    const shared = await this.sharing.share(path, options, signal);
    await this.publish(signal);
    return shared;
  }

  /** Every share, those that ended of late among them, oldest first. */
  shares(): Promise<ShareInfo[]> {
    return this.sharing.list();
  }

  /**
   * Take a share back. Farmers that can't be told now are told by care; until then they may serve it to
   * who knows where the shards are.
   *
   * @param id - or the beginning of it
   * @throws RenterError RENTER_NOT_FOUND.
   */
  async unshare(id: string, options: { signal?: AbortSignal } = {}): Promise<ShareInfo> {
    const signal = this.signalOf(options.signal);
    const ended = await this.sharing.unshare(id, signal);
    await this.publish(signal);
    return ended;
  }

  /**
   * Let whoever has the grant list and read what is in a bucket, or what of it begins with a prefix: what is
   * there now and what will be, without an account, until the grant ends. See {@link openGrant}.
   *
   * @throws RenterError RENTER_BAD_PATH, RENTER_SHARE, RENTER_NETWORK_UNREACHABLE, …
   */
  async grant(scope: GrantScope, options: ShareOptions = {}): Promise<AccessGrantInfo> {
    checkBucket(scope.bucket);
    if (scope.prefix !== '') checkPath({ bucket: scope.bucket, name: scope.prefix });
    const signal = this.signalOf(options.signal);
    const granted = await this.grantsGiven.grant(scope, options, signal);
    await this.publish(signal);
    return granted;
  }

  /** Every access grant, those that ended of late among them, oldest first. */
  grants(): Promise<AccessGrantInfo[]> {
    return this.grantsGiven.list();
  }

  /**
   * Take an access grant back. Farmers that can't be told now are told by care; until then they may serve
   * it to who knows where the shards are.
   *
   * @param id - or the beginning of it
   * @throws RenterError RENTER_NOT_FOUND.
   */
  async revokeGrant(id: string, options: { signal?: AbortSignal } = {}): Promise<AccessGrantInfo> {
    const signal = this.signalOf(options.signal);
    const ended = await this.grantsGiven.revoke(id, signal);
    await this.publish(signal);
    return ended;
  }

  /** Addresses to put into a link: nodes to join by, those that pages can dial among them when there are. */
  async linkAddresses(): Promise<string[]> {
    return addressesForLink(this.network.bootstrap, await this.core.directory.known());
  }

  /** Look after everything once: audits, renewals, repair, garbage, index. See {@link Caretaker}. */
  care(options: { signal?: AbortSignal; auditAll?: boolean } = {}): Promise<CareReport> {
    return this.caretaker.round(this.signalOf(options.signal), options.auditAll);
  }

  /** Look after everything until the signal; `onRound` is told of each round. */
  keepCare(
    signal: AbortSignal,
    onRound: (result: CareReport | { error: unknown }) => void,
  ): Promise<void> {
    return this.caretaker.run(this.signalOf(signal), onRound);
  }

  /** What the care of this process is doing now, and what became of its last round. */
  get careStatus(): CareStatus {
    return this.caretaker.status;
  }

  /**
   * The health of every object, those of the index among them, from this renter's own store: nobody
   * is asked. Reads the records of all segments.
   */
  health(question: HealthQuestion): AsyncIterable<ObjectHealth> {
    return healthOfObjects(this.core, question);
  }

  /**
   * The health of one object, from this renter's own store.
   *
   * @throws RenterError RENTER_NOT_FOUND.
   */
  async healthOf(path: ObjectPath, question: HealthQuestion): Promise<ObjectHealth> {
    return healthOfOne(this.core, await this.manifestOf(path), question);
  }

  /**
   * Ask all farmers that hold shards of an object at one time whether they are there; its health is known
   * by that. It takes at most 8 seconds, once the network was joined.
   *
   * @param options - `onAnswer` is told of each farmer, by its node ID, as soon as that is known; of one that
   * did not answer again when it answers where it has moved to
   * @returns the node IDs of those that do not answer
   * @throws RenterError RENTER_NOT_FOUND, RENTER_NETWORK_UNREACHABLE.
   */
  async askHolders(
    path: ObjectPath,
    options: {
      signal?: AbortSignal;
      onAnswer?: (nodeId: string, answered: boolean) => void;
    } = {},
  ): Promise<string[]> {
    const { store, directory } = this.core;
    const manifest = await this.manifestOf(path);
    const holders = new Set<string>();
    for await (const { shards } of store.segments(manifest.objectId)) {
      for (const { farmer } of shards) holders.add(farmer);
    }
    const { onAnswer = () => undefined } = options;
    await directory.poll(holders, ASK_MS, onAnswer, this.signalOf(options.signal));
    const records = await directory.records([...holders]);
    return [...holders].filter((id) => records.get(id)?.reputation.offlineSince !== null);
  }

  /** Bring back every object from the network; see {@link recover}. */
  async recover(options: { signal?: AbortSignal } = {}): Promise<RecoveryReport> {
    const signal = this.signalOf(options.signal);
    const report = await recover(this.core, signal);
    // A number of our own: a store that was left behind is told of it, and overwrites nothing.
    await this.publish(signal, true);
    await this.collect(signal);
    return report;
  }

  /** Write everything this renter knows into a new, sealed file; rows written. */
  export(path: string): Promise<number> {
    return exportStore(this.core, path);
  }

  /** Read an export into this renter's empty store; rows read. */
  import(path: string): Promise<number> {
    return importStore(this.core, path);
  }

  /** What this renter owes and has promised: its book, and how to pay. */
  get payer(): Payer {
    return this.core.payments.payer;
  }

  /** Pay every farmer what is due. One that can't be paid now is paid the next time. */
  async pay(options: { signal?: AbortSignal } = {}): Promise<PaymentReport> {
    const signal = this.signalOf(options.signal);
    await this.network.join();
    return this.core.payments.settleAll(signal);
  }

  /** Every farmer met, how it stands and why. */
  async standings(): Promise<FarmerStanding[]> {
    const { store, directory, clock, settings } = this.core;
    const standings: FarmerStanding[] = [];
    for (const record of await directory.known()) {
      standings.push({
        record,
        shards: await store.holdingCount(record.contact.nodeId),
        explanation: explainReputation(record.reputation, clock.now(), settings.reputation),
      });
    }
    return standings;
  }

  /** Give a suspected or disqualified farmer another chance. @throws RenterError RENTER_NOT_FOUND. */
  async pardon(nodeId: string): Promise<void> {
    const { directory, clock, settings } = this.core;
    if ((await directory.record(nodeId)) === undefined) {
      throw new RenterError('RENTER_NOT_FOUND', `there is no farmer ${nodeId} that was met`);
    }
    await directory.change(nodeId, (record) => ({
      ...record,
      failures: 0,
      reputation: pardon(record.reputation, clock.now(), settings.reputation),
    }));
  }

  /** Signed proofs of audits that farmers have failed; anybody can check them with `judgeAudit`. */
  evidence(): Promise<unknown[]> {
    return all(this.core.store.evidence());
  }

  /**
   * What somebody else needs to audit an object's farmers for us: contracts, and one signed request
   * for each of the next precomputed challenges. It reads nothing, and costs us those challenges.
   *
   * @param lifetimeMs - until when the requests may be put
   * @throws RenterError RENTER_NOT_FOUND.
   */
  async auditKit(path: ObjectPath, lifetimeMs: number): Promise<AuditKit> {
    return makeAuditKit(this.core, await this.manifestOf(path), lifetimeMs);
  }

  /** The farmers that this renter knows; those of the network now when `refresh` is set. */
  async farmers(options: { refresh?: boolean } = {}): Promise<FarmerRecord[]> {
    return options.refresh === true
      ? this.core.directory.available({ refresh: true })
      : this.core.directory.known();
  }

  /** What this renter has, from its own store. */
  async status(): Promise<RenterStatus> {
    let [objects, bytes, buckets] = [0, 0, 0];
    for await (const bucket of this.core.store.buckets()) {
      buckets += 1;
      for await (const { size } of this.core.store.manifests(bucket, '', '')) {
        objects += 1;
        bytes += size;
      }
    }
    let [shards, storedBytes] = [0, 0];
    for await (const { objectId } of this.core.store.allManifests()) {
      for await (const segment of this.core.store.segments(objectId)) {
        shards += segment.shards.length;
        storedBytes += segment.shards.length * segment.shardSize;
      }
    }
    const uploads = await all(this.core.store.uploads());
    return {
      nodeId: this.core.keys.identity.nodeId,
      buckets,
      objects,
      bytes,
      shards,
      storedBytes,
      unfinishedUploads: uploads.map(({ manifest, source, started }) => ({
        bucket: manifest.bucket,
        name: manifest.name,
        started,
        resumable: source !== null,
      })),
      pendingDeletes: await this.core.store.garbageCount(),
      knownFarmers: (await this.core.directory.known()).length,
    };
  }

  private async careForShares(signal: AbortSignal): Promise<ShareCareReport> {
    const shares = await this.sharing.care(signal);
    const grants = await this.grantsGiven.care(signal);
    return {
      placed: shares.placed + grants.placed,
      failures: [...shares.failures, ...grants.failures],
    };
  }

  private async clear(farmer: string, signal: AbortSignal): Promise<boolean> {
    const { settings, logger } = this.core;
    try {
      return await this.caretaker.clear(farmer, settings.paying.advance, signal);
    } catch (error) {
      signal.throwIfAborted();
      logger.warn({ farmer, error: messageOf(error) }, 'a farmer that wants to be paid was not');
      return false;
    }
  }

  private signalOf(signal: AbortSignal | undefined): AbortSignal {
    return anySignal(signal === undefined ? [this.closing.signal] : [signal, this.closing.signal]);
  }

  private async manifestOf(path: ObjectPath): Promise<Manifest> {
    checkPath(path);
    const manifest = await this.core.store.manifest(path);
    if (manifest === undefined) throw notFound(path);
    return manifest;
  }

  /** Read the version of an object that is current now, and keep its shards until the end. */
  private async beginReading(
    path: ObjectPath,
  ): Promise<{ manifest: Manifest; end: () => Promise<void> }> {
    for (;;) {
      const manifest = await this.manifestOf(path);
      const finish = await this.leases.reading(manifest.objectId);
      // It may have been replaced before our lease was there to be seen.
      const now = await this.core.store.manifest(path);
      const current = now?.objectId === manifest.objectId;
      const end = async () => {
        const retired = await finish();
        if (retired && !this.closing.signal.aborted) await this.collect(this.closing.signal);
      };
      if (current) return { manifest, end };
      await end();
    }
  }

  private async storePart(
    name: string,
    bytes: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<void> {
    const path = { bucket: INDEX_BUCKET, name };
    const source = { kind: 'stream', stream: bytes } as const;
    const { active, leases } = this;
    await putObject(this.core, path, source, {}, { signal, active, leases });
  }

  /** Bring the index in the network up to date; why that did not work, or null. */
  private async publish(signal: AbortSignal, renew = false): Promise<string | null> {
    try {
      await this.publishOrThrow(signal, renew);
      return null;
    } catch (error) {
      signal.throwIfAborted();
      this.core.logger.info({ error: messageOf(error) }, 'the index was not published');
      return messageOf(error);
    }
  }

  private async publishOrThrow(signal: AbortSignal, renew: boolean): Promise<void> {
    const dropped = await this.index.publish(signal, renew);
    if (dropped.size > 0) await this.collect(signal, dropped);
  }

  private async collect(
    signal: AbortSignal,
    wanted?: ReadonlySet<string>,
  ): Promise<DeletionReport> {
    const beingRead = await this.core.store.collectRetired(this.leases.isLive);
    return { ...(await collectGarbage(this.core, signal, wanted)), beingRead };
  }
}

function settlementFor(
  nodeId: string,
  chain: Settlement | undefined,
  currency: string,
  { settlement, contract }: PaymentTerms,
): Settlement | undefined {
  if (settlement === 'ledger') return ledgerSettlement(currency, nodeId);
  const fits = chain?.currency === currency && chain.domain.contract === contract;
  return fits ? chain : undefined;
}

function summaryOf({ name, size, created, sha256 }: Manifest): ObjectSummary {
  return { name, size, created, sha256 };
}

function notFound({ bucket, name }: ObjectPath): RenterError {
  return new RenterError('RENTER_NOT_FOUND', `there is no object ${bucket}/${name}`);
}
