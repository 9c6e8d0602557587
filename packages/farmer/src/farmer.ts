import type { IncomingMessage, ServerResponse } from 'node:http';
import { Server as HttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import {
  type Clock,
  CombinedTransport,
  type Contact,
  type Dialer,
  HttpsTransport,
  type Identity,
  KademliaNode,
  LmdbValueStore,
  type Logger,
  Mailbox,
  type Plugin,
  PubSub,
  type Random,
  WebSocketTransport,
  createTlsCredentials,
  difficultyOf,
  directDialer,
  messageOf,
  proxiedKademliaOptions,
  randomFraction,
  standardPlugins,
  ShortLivedBuffers,
  systemClock,
  systemRandom,
} from '@granary/kad';
import {
  DialBack,
  HolePuncher,
  Reachability,
  type ReachabilityOptions,
  Tunnels,
  type TunnelsOptions,
} from '@granary/nat';
import {
  LmdbRows,
  Payee,
  PaymentBook,
  type Settlement,
  TunnelCharges,
  ledgerSettlement,
} from '@granary/payments';
import {
  type FarmerTerms,
  type RootRecord,
  type ShareRecord,
  TRANSFER_PATH,
} from '@granary/protocol';
import { Admission } from './admission.js';
import {
  type BrowserListener,
  type BrowserListeners,
  browserListeners,
} from './browser-listeners.js';
import { AuditAnswers } from './audit-answers.js';
import { registerFarmerMethods } from './farmer-methods.js';
import { type FarmerPolicy, defaultPolicy } from './farmer-policy.js';
import { FarmerError } from './errors.js';
import { FrameBuffers } from './frame-buffers.js';
import { GrantBook } from './grant-book.js';
import { OfferAnswers } from './offer-answers.js';
import { Scrubber } from './scrubber.js';
import { type BookLimits, SealedRecordBook } from './sealed-record-book.js';
import { ShardStore } from './shard-store.js';
import { TokenGuard } from './token-guard.js';
import { TransferServer } from './transfer-server.js';
import type { TransferCounters, TransferTimeouts } from './transfer-session.js';
import { type TunnelPaying, TunnelPayments } from './tunnel-payments.js';

/** What a {@link Farmer} is made of. Sizes in bytes, times in milliseconds. */
export interface FarmerOptions {
  /** Where shards and the contract book are kept. */
  readonly directory: string;
  readonly identity: Identity;
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /**
   * Addresses to announce instead of the one listened on. Without them a farmer whose dialer is not
   * direct announces none.
   */
  readonly announce?: readonly string[];
  /**
   * Find out how others can reach this farmer, and announce only what they could reach. Without it
   * `announce`, or else the address listened on, is announced unchecked. A farmer whose dialer is not
   * direct never does.
   */
  readonly reachability?: Omit<ReachabilityOptions, 'port' | 'announce' | 'bootstrap'>;
  /**
   * Be reached through tunnels of others, or be a tunnel for others, as it is needed and can be.
   * Without it, and with a dialer that is not direct, neither.
   */
  readonly tunnels?: Omit<
    TunnelsOptions,
    'server' | 'credentials' | 'reachability' | 'accounts' | 'purse'
  >;
  /**
   * Be reached by renters in browsers, too: a listener of WebSockets for the DHT's messages and for
   * transfers. Its addresses are announced besides the others. Not with a dialer that is not direct.
   */
  readonly browsers?: BrowserListener;
  /** How connections are opened; from this machine itself when not given. */
  readonly dialer?: Dialer;
  /** Addresses of nodes to join by; none for the first node of a network. */
  readonly bootstrap: readonly string[];
  readonly quotaBytes: number;
  readonly policy?: Partial<FarmerPolicy>;
  /** How it is paid; by a ledger with what it trusts renters for, when not given. */
  readonly payments?: PaymentOptions;
  /** Node IDs of renters to make no contracts with. */
  readonly blockedRenters?: readonly string[];
  /** How long a part of a shard waits for its upload to go on. */
  readonly reservationMs?: number;
  /** How long shards are kept after their contract has ended. */
  readonly graceMs?: number;
  /** Bytes a second that the scrubber reads to check what is stored. */
  readonly scrubBytesPerSecond?: number;
  readonly timeouts?: Partial<TransferTimeouts>;
  /** Leading zero bits of work that the network asks of node identities. Default 0. */
  readonly difficulty?: number;
  /** Plugins of the farmer's node besides the usual ones. */
  readonly plugins?: readonly Plugin[];
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** How a farmer is paid. Amounts in the smallest unit of its currency, times in milliseconds. */
export interface PaymentOptions {
  /** Where vouchers turn into money. Its currency is the one that the farmer's prices are in. */
  readonly settlement?: Settlement;
  /** What a node may owe before it is served no more; by default ten times all prices together. */
  readonly creditLimit?: bigint;
  /** For a GB that it carries for others as a tunnel, both ways together. Default 0. */
  readonly tunnelPrice?: bigint;
  /** What it pays for tunnels itself. */
  readonly tunnels?: TunnelPaying;
  /** The shortest challenge period of channels that are accepted. */
  readonly minChallengeMs?: number;
  /** Vouchers are redeemed when they are worth so much more than what was redeemed. */
  readonly redeemAt?: bigint;
  /** Between two looks at all channels. It has to be shorter than the challenge period. */
  readonly collectMs?: number;
}

/** What a farmer has and has done. Sizes in bytes. */
export interface FarmerStats extends TransferCounters {
  readonly nodeId: string;
  /** The first address announced; empty while none is. */
  readonly address: string;
  /** The port listened on. */
  readonly port: number;
  /** Whether others can reach it, when that is looked after. */
  readonly reachable: 'unknown' | 'public' | 'private' | null;
  /** Tunnels of others through which this farmer is reached. */
  readonly tunnels: number;
  /** Nodes for which this farmer is a tunnel, and bytes carried for them, both ways. */
  readonly tunnelClients: number;
  readonly tunnelBytes: number;
  readonly quotaBytes: number;
  readonly usedBytes: number;
  readonly reservedBytes: number;
  readonly freeBytes: number;
  readonly shards: number;
  /** Shards of the contract book whose files were found missing. */
  readonly missing: number;
  /** Shards that the scrubber found not to be what they were. */
  readonly damaged: number;
  readonly peers: number;
  readonly connections: number;
  /** Audits answered since the start, and those in which a loss had to be admitted. */
  readonly audits: number;
  readonly auditsLost: number;
  /** Whether it takes no more shards and wants those it has taken over. */
  readonly leaving: boolean;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
}

const MIB = 1024 * 1024;
const ROOT_LIMITS: BookLimits = { strangerBytes: 256 * MIB, bytes: 1024 * MIB };
const SHARE_LIMITS: BookLimits = { strangerBytes: 256 * MIB, bytes: 1024 * MIB };
const HOUR = 3600 * 1000;
const SWEEP_MS = 30_000;
const COLLECT_MS = 600_000;
const REJOIN_MS = 5_000;
/** For one question to a tunnel that is paid. */
const PAY_TIMEOUT_MS = 10_000;
/** For telling the network that we go. */
const GOODBYE_MS = 1_000;

/** What a farmer keeps for others besides shards. */
interface FarmerBooks {
  readonly roots: SealedRecordBook<RootRecord>;
  readonly shares: SealedRecordBook<ShareRecord>;
  readonly grants: GrantBook;
}

/** A storage node: a peer of the DHT that keeps shards under contracts. */
export class Farmer {
  private sweeper: unknown;
  private sweeping: Promise<void> = Promise.resolve();
  private collector: unknown;
  private collecting: Promise<void> = Promise.resolve();
  private recovering: Promise<void> = Promise.resolve();
  private rejoiner: unknown;
  private readonly stopping = new AbortController();

  private constructor(
    private readonly options: FarmerOptions,
    /** The farmer's node of the DHT. */
    readonly node: KademliaNode,
    private readonly store: ShardStore,
    /** What is closed with it. */
    private readonly books: FarmerBooks,
    /** What renters owe this farmer, and what they have promised. */
    readonly payee: Payee,
    private readonly audits: AuditAnswers,
    private readonly admission: Admission,
    private readonly transfers: TransferServer,
    private readonly policy: FarmerPolicy,
    private readonly counters: TransferCounters,
    private readonly uploads: ReadonlyMap<string, unknown>,
    private readonly startedAt: number,
    private readonly scrubber: Scrubber,
    private readonly offers: OfferAnswers,
    private readonly listeningPort: () => number | undefined,
    private readonly browsers: BrowserListeners | undefined,
    /** How others reach this farmer, when that is looked after. */
    readonly reachability: Reachability | undefined,
    /** What it does about tunnels; undefined when nothing. */
    readonly tunnels: Tunnels | undefined,
    private readonly tunnelPayments: TunnelPayments | undefined,
    private readonly charges: TunnelCharges | undefined,
  ) {}

  /**
   * Open the stores, finish what a crash left undone, listen, and begin to join the network. A
   * bootstrap node that does not answer is tried again in the background.
   *
   * @throws FarmerError FARMER_DIRECTORY, FARMER_LOCKED or FARMER_IDENTITY; KadError
   * KAD_PORT_IN_USE or KAD_LISTEN.
   */
  static async open(options: FarmerOptions): Promise<Farmer> {
    const { identity, logger, host, port, announce, directory, difficulty = 0 } = options;
    const work = difficultyOf(identity.nodeId);
    if (work < difficulty) {
      throw new FarmerError(
        'FARMER_IDENTITY',
        `this network asks for identities of difficulty ${difficulty}, and that of this farmer has ` +
          `${work}: make one in a new directory with "granary identity --difficulty ${difficulty}"`,
      );
    }
    const clock = options.clock ?? systemClock;
    const dialer = options.dialer ?? directDialer;
    const random = options.random ?? systemRandom;
    const { payments } = options;
    const currency = payments?.settlement?.currency ?? options.policy?.currency;
    const policy = {
      ...defaultPolicy,
      ...options.policy,
      ...(currency !== undefined && { currency }),
    };
    const store = await ShardStore.open({
      directory,
      quotaBytes: options.quotaBytes,
      reservationMs: options.reservationMs ?? HOUR,
      graceMs: options.graceMs ?? 24 * HOUR,
      clock,
      logger,
    });
    let farmer: Farmer | undefined;
    let books: FarmerBooks | undefined;
    let payee: Payee | undefined;
    let tunnelPayments: TunnelPayments | undefined;
    try {
      const admission = await Admission.open(directory, options.blockedRenters ?? []);
      const { tunnelPrice = 0n } = payments ?? {};
      const prices = BigInt(policy.storagePrice) + BigInt(policy.egressPrice) + tunnelPrice;
      const settlement = payments?.settlement ?? ledgerSettlement(policy.currency, identity.nodeId);
      payee = new Payee({
        identity,
        book: new PaymentBook(LmdbRows.open(join(directory, 'payments.lmdb')), clock),
        settlement,
        creditLimit: payments?.creditLimit ?? 10n * prices,
        minChallengeMs: payments?.minChallengeMs ?? 48 * HOUR,
        redeemAt: payments?.redeemAt ?? 1n,
        clock,
        logger,
      });
      await payee.start();
      const charges =
        tunnelPrice === 0n
          ? undefined
          : new TunnelCharges({
              identity,
              payee,
              price: tunnelPrice,
              currency: policy.currency,
              clock,
              logger,
            });
      tunnelPayments =
        options.tunnels === undefined || !dialer.direct
          ? undefined
          : TunnelPayments.open({
              directory,
              identity,
              settlement,
              paying: payments?.tunnels ?? {},
              contactOf: (nodeId, signal) => farmer!.contactOf(nodeId, signal),
              call: (contact, method, params, signal) =>
                farmer!.node.call(contact, method, params, { signal, timeoutMs: PAY_TIMEOUT_MS }),
              clock,
              random,
              logger,
            });
      const purse = tunnelPayments?.spending;
      const audits = new AuditAnswers(identity, store, payee, clock, logger);
      books = openBooks(directory, clock);
      // Behind a proxy nobody is asked how we are reached: no router, and no other node.
      const looked = dialer.direct ? options.reachability : undefined;
      const first = announce ?? (looked === undefined ? undefined : []);
      const credentials = await createTlsCredentials(identity, clock);
      const transport = new HttpsTransport({
        credentials,
        listen: { host, port },
        dialer,
        ...(first !== undefined && { announce: first }),
        logger,
        onRequest: (request, response) => farmer?.onRequest(request, response) ?? false,
      });
      // Its addresses would tell where this machine is, and no proxy carries what comes to it.
      const browsers = dialer.direct ? options.browsers : undefined;
      const listeners =
        browsers === undefined
          ? undefined
          : browserListeners(browsers, { identity, directory, clock, logger });
      const storage = LmdbValueStore.open(join(directory, 'values.lmdb'));
      const pubsub = new PubSub();
      const mailbox = new Mailbox();
      const listeningPort = () => (transport.server?.address() as AddressInfo | null)?.port;
      const reachability =
        looked === undefined
          ? undefined
          : new Reachability({
              ...looked,
              port: listeningPort,
              bootstrap: options.bootstrap,
              ...(announce !== undefined && { announce }),
            });
      const tunnels =
        options.tunnels === undefined || !dialer.direct
          ? undefined
          : new Tunnels({
              ...options.tunnels,
              server: () => transport.server,
              credentials,
              ...(reachability !== undefined && { reachability }),
              ...(charges !== undefined && { accounts: charges }),
              ...(purse !== undefined && { purse }),
            });
      const puncher =
        tunnels === undefined
          ? undefined
          : new HolePuncher({
              credentials,
              accept: (socket) => transport.server?.emit('connection', socket),
              wanted: () => tunnels.status.through.length > 0,
            });
      const node = new KademliaNode({
        identity,
        transport:
          listeners === undefined
            ? transport
            : new CombinedTransport(
                [
                  transport,
                  new WebSocketTransport({
                    identity,
                    listener: listeners.all,
                    credentials,
                    dialer,
                    logger,
                    clock,
                    random,
                  }),
                ],
                { clock },
              ),
        ...(listeners !== undefined && { besides: () => listeners.all.addresses }),
        storage,
        ...(!dialer.direct && { options: proxiedKademliaOptions }),
        plugins: [
          ...standardPlugins({ difficulty }),
          pubsub,
          mailbox,
          // It tells others where they come from, which behind a proxy is where the proxy is.
          ...(dialer.direct ? [new DialBack()] : []),
          ...(reachability === undefined ? [] : [reachability]),
          ...(tunnels === undefined ? [] : [tunnels]),
          ...(puncher === undefined ? [] : [puncher]),
          ...(options.plugins ?? []),
        ],
        logger,
        clock,
        random,
      });
      const counters = {
        uploads: 0,
        downloads: 0,
        deletes: 0,
        bytesIn: 0,
        bytesOut: 0,
        refused: 0,
      };
      const uploads = new Map<string, { stop(): Promise<void> }>();
      const transfers = new TransferServer(
        transport.server!,
        {
          identity,
          store,
          tokens: new TokenGuard(identity.nodeId, clock),
          policy,
          admission,
          payee,
          grants: books.grants,
          clock,
          logger,
          counters,
          timeouts: { helloMs: 15_000, idleMs: 120_000, stallMs: 60_000, ...options.timeouts },
          uploads,
          buffers: new ShortLivedBuffers(),
          frameBuffers: new FrameBuffers(clock),
        },
        // Whoever comes through a proxy's hidden service comes from the proxy's one address.
        { total: 1024, perAddress: dialer.direct ? 256 : 1024 },
      );
      const terms = () => farmer!.terms();
      registerFarmerMethods(node, {
        identity,
        store,
        ...books,
        audits,
        payee,
        admission,
        policy,
        clock,
        terms,
      });
      farmer = new Farmer(
        options,
        node,
        store,
        books,
        payee,
        audits,
        admission,
        transfers,
        policy,
        counters,
        uploads,
        clock.now(),
        new Scrubber({
          store,
          bytesPerSecond: options.scrubBytesPerSecond ?? 4 * 1024 * 1024,
          clock,
          logger,
        }),
        new OfferAnswers({
          nodeId: identity.nodeId,
          pubsub,
          mailbox,
          admission,
          terms,
          clock,
          random,
          logger,
        }),
        listeningPort,
        listeners,
        reachability,
        tunnels,
        tunnelPayments,
        charges,
      );
      listeners?.dataChannels?.route(TRANSFER_PATH, (channel, from) =>
        transfers.takeChannel(channel, from),
      );
      await node.start();
      const browserServer = listeners?.webSockets.httpServer;
      if (browserServer !== undefined) transfers.serveBrowsers(browserServer);
      farmer.sweep(clock);
      farmer.collect(clock);
      farmer.scrubber.start();
      if (options.bootstrap.length > 0) await farmer.join(clock, random);
      purse?.start();
      farmer.offers.start();
      farmer.recovering = store
        .reconcile(farmer.stopping.signal)
        .then(() => farmer?.recoverPayments())
        .catch((error: unknown) =>
          logger.warn({ error: messageOf(error) }, 'the shard files could not be looked through'),
        );
      return farmer;
    } catch (error) {
      await tunnelPayments?.close();
      await payee?.close();
      if (books !== undefined) await closeBooks(books);
      await store.close();
      throw error;
    }
  }

  get contact(): Contact {
    return this.node.contact;
  }

  /** The first address that this farmer announces for other nodes; empty while there is none. */
  get address(): string {
    const { browserAddresses } = this;
    return this.contact.addresses.find((one) => !browserAddresses.includes(one)) ?? '';
  }

  /** Where renters in browsers reach this farmer. */
  get browserAddresses(): readonly string[] {
    return this.browsers?.all.addresses ?? [];
  }

  /** Use another certificate for browsers from now on, PEM. @throws Error when it is none. */
  renewBrowserCertificate(tls: { readonly key: string; readonly cert: string }): void {
    const server = this.browsers?.webSockets.httpServer;
    if (server instanceof HttpsServer) server.setSecureContext(tls);
  }

  /** What this farmer offers at this time. */
  terms(): FarmerTerms {
    const { leaving } = this.admission;
    const freeBytes = leaving ? 0 : this.store.usage.freeBytes;
    return { version: 1, freeBytes, ...this.policy, leaving, payment: this.payee.terms };
  }

  /**
   * Leave gracefully: take no more shards, and ask renters, who look at a farmer's terms from time
   * to time, to take over those that are here. It is remembered over restarts.
   */
  leave(): Promise<void> {
    return this.admission.setLeaving(true);
  }

  /** Stay after all. */
  stay(): Promise<void> {
    return this.admission.setLeaving(false);
  }

  /**
   * How many contracts whose shards are here end before each of some times (milliseconds since the
   * epoch, ascending).
   */
  endings(bounds: readonly number[], signal: AbortSignal): Promise<number[]> {
    return this.store.endings(bounds, signal);
  }

  /** How many renters have contracts here; counted up to a limit. */
  countRenters(limit: number): number {
    return this.store.countRenters(limit);
  }

  stats(): FarmerStats {
    return {
      nodeId: this.node.identity.nodeId,
      address: this.address,
      port: this.listeningPort() ?? 0,
      reachable: this.reachability?.status.state ?? null,
      tunnels: this.tunnels?.status.through.length ?? 0,
      tunnelClients: this.tunnels?.status.offered?.clients ?? 0,
      tunnelBytes: this.tunnels?.status.offered?.bytes ?? 0,
      ...this.store.usage,
      ...this.counters,
      peers: this.node.routingTable.size,
      connections: this.transfers.connections,
      audits: this.audits.counters.answered,
      auditsLost: this.audits.counters.lost,
      leaving: this.admission.leaving,
      startedAt: this.startedAt,
    };
  }

  /** Stop taking work, put on the disk what is under way, and free everything. */
  async stop(): Promise<void> {
    if (this.stopping.signal.aborted) return;
    this.stopping.abort();
    const clock = this.options.clock ?? systemClock;
    clock.clearTimeout(this.sweeper);
    clock.clearTimeout(this.rejoiner);
    this.offers.stop();
    clock.clearTimeout(this.collector);
    await this.transfers.close();
    await this.tunnelPayments?.payLast(GOODBYE_MS);
    await this.node.leave({ timeoutMs: GOODBYE_MS });
    await this.node.stop();
    await this.scrubber.stop();
    await this.recovering;
    // It writes to the books that are closed below.
    await this.sweeping;
    // Whatever is cut off here is taken up again at the next start.
    await Promise.race([
      this.collecting,
      new Promise<void>((resolve) => clock.setTimeout(resolve, 2_000)),
    ]);
    await this.tunnelPayments?.close();
    await this.charges?.flush();
    await this.payee.close();
    await closeBooks(this.books);
    await this.store.close();
  }

  /** A tunnel that is to be paid. */
  private async contactOf(nodeId: string, signal: AbortSignal): Promise<Contact | undefined> {
    const known =
      this.tunnels?.directory.contactOf(nodeId) ?? this.node.routingTable.get(nodeId)?.contact;
    if (known !== undefined) return known;
    const { contacts } = await this.node.lookup(nodeId, { signal });
    return contacts.find((contact) => contact.nodeId === nodeId);
  }

  private sweep(clock: Clock): void {
    // Reservations may be shorter than the usual interval; then they set the pace.
    const pace = Math.min(SWEEP_MS, Math.max(500, (this.options.reservationMs ?? HOUR) / 2));
    this.sweeper = clock.setTimeout(() => {
      const { signal } = this.stopping;
      this.sweeping = this.store
        .sweep(new Set(this.uploads.keys()), signal)
        .then(() => (signal.aborted ? undefined : this.sweepBooks()))
        .catch((error: unknown) =>
          this.options.logger.error({ error: messageOf(error) }, 'sweeping failed'),
        )
        .finally(() => {
          if (!signal.aborted) this.sweep(clock);
        });
    }, pace);
  }

  private async sweepBooks(): Promise<void> {
    await this.books.roots.sweep();
    await this.books.shares.sweep();
    await this.books.grants.sweep();
  }

  /** Write down what a crash has kept out of the book of payments. */
  private async recoverPayments(): Promise<void> {
    const { logger } = this.options;
    try {
      const found = await this.payee.recover(
        {
          all: () => this.store.stored(),
          has: (contract) => this.store.entry(contract)?.state === 'stored',
          unbooked: () => this.store.unbookedReceipts(),
          booked: (transfer) => this.store.bookedReceipt(transfer),
        },
        this.stopping.signal,
      );
      if (found > 0) logger.info({ found }, 'made up what the book of payments lacked');
    } catch (error) {
      logger.error({ error: messageOf(error) }, 'the book of payments could not be completed');
    }
  }

  /** Look at every channel, redeem what is worth it, and do so again in a while. */
  private collect(clock: Clock): void {
    const run = async () => {
      await this.payee.collect();
      if (!this.stopping.signal.aborted) await this.payee.book.sweep();
    };
    this.collecting = run()
      .catch((error: unknown) =>
        this.options.logger.error({ error: messageOf(error) }, 'collecting payments failed'),
      )
      .finally(() => {
        if (this.stopping.signal.aborted) return;
        const pause = this.options.payments?.collectMs ?? COLLECT_MS;
        this.collector = clock.setTimeout(() => this.collect(clock), pause);
      });
  }

  private async join(clock: Clock, random: Random): Promise<void> {
    const { logger, bootstrap } = this.options;
    try {
      await this.node.join(bootstrap, { signal: this.stopping.signal });
    } catch (error) {
      if (this.stopping.signal.aborted) return;
      logger.warn({ error: messageOf(error) }, 'no bootstrap node answers yet');
      this.rejoiner = clock.setTimeout(
        () => void this.join(clock, random),
        REJOIN_MS * (0.5 + randomFraction(random)),
      );
    }
  }

  private onRequest(request: IncomingMessage, response: ServerResponse): boolean {
    if (request.method !== 'GET' || request.url !== '/health') return false;
    const body = Buffer.from(JSON.stringify({ status: 'ok', ...this.stats() }));
    response.writeHead(200, {
      'content-type': 'application/json',
      'content-length': body.length,
    });
    response.end(body);
    return true;
  }
}

function openBooks(directory: string, clock: Clock): FarmerBooks {
  return {
    roots: SealedRecordBook.open<RootRecord>(
      join(directory, 'roots.lmdb'),
      ROOT_LIMITS,
      clock,
      'root records',
    ),
    shares: SealedRecordBook.open<ShareRecord>(
      join(directory, 'shares.lmdb'),
      SHARE_LIMITS,
      clock,
      'share records',
    ),
    grants: GrantBook.open(join(directory, 'grants.lmdb'), clock),
  };
}

async function closeBooks({ roots, shares, grants }: FarmerBooks): Promise<void> {
  await roots.close();
  await shares.close();
  await grants.close();
}
