import type { Clock, Logger, Random } from '@granary/kad';
import { CONTENTS_QUEUE, ContentKeeper } from './contents/content-keeper.js';
import { ContentWriter } from './contents/content-writer.js';
import type { ObjectBackend } from './contents/object-backend.js';
import { Slots } from './contents/slots.js';
import type { BridgeMetrics, RequestFigures } from './http/bridge-metrics.js';
import { BridgeServer, type ServerLimits } from './http/bridge-server.js';
import type { TlsPair } from './http/self-signed-certificate.js';
import type { JournalBackend } from './journal/journal-backend.js';
import { JOURNAL_QUEUE, JournalWriter } from './journal/journal-writer.js';
import type { MetadataStore } from './metadata/metadata-store.js';
import { MAX_INLINE_BYTES } from './metadata/records.js';
import { adminHandlers } from './rest/admin-handlers.js';
import { bucketHandlers } from './rest/bucket-handlers.js';
import { objectHandlers } from './rest/object-handlers.js';
import { RestService } from './rest/rest-service.js';
import { type ProcessStatus, statusHandlers } from './rest/status-handlers.js';
import { LoginThrottle } from './users/login-throttle.js';
import { type HashCost, Passwords } from './users/passwords.js';
import { RateLimiter } from './users/rate-limiter.js';
import { DEFAULT_PACE, type Pace } from './s3/body/paced-body.js';
import { DEFAULT_LIMITS, type S3Limits } from './s3/s3-deps.js';
import { LIFECYCLE_QUEUE, LifecycleRunner } from './s3/lifecycle-runner.js';
import { S3Service } from './s3/s3-service.js';

/** What a {@link Bridge} is made of. */
export interface BridgeParts {
  /** Users, buckets, versions. Stays the caller's: it is not closed with the bridge. */
  readonly metadata: MetadataStore;
  /** Where the bytes are. Stays the caller's. */
  readonly backend: ObjectBackend;
  readonly host: string;
  /** 0 takes any that is free. */
  readonly port: number;
  /** Key and certificate chain in PEM; plain HTTP without. */
  readonly tls?: TlsPair;
  /** Where the journal of the metadata is kept. Without it names live in the database alone. */
  readonly journal?: JournalBackend;
  /** How much of the last changes the loss of the database may cost, about, in milliseconds. */
  readonly journalMs?: number;
  /** The region that clients sign for. */
  readonly region: string;
  /** Base domains of virtual-hosted style, in lower case. */
  readonly domains?: readonly string[];
  /** The most bytes of a body that is kept in the database first; at most {@link MAX_INLINE_BYTES}. */
  readonly inlineBytes?: number;
  /** How long such a body may wait for others to go into the network with it, in milliseconds. */
  readonly packMs?: number;
  /** Between two rounds of looking after contents, in milliseconds. */
  readonly roundMs?: number;
  /** Between two rounds of carrying out lifecycle rules, in milliseconds. */
  readonly lifecycleMs?: number;
  readonly serverLimits?: Partial<ServerLimits>;
  readonly s3Limits?: Partial<S3Limits>;
  readonly pace?: Pace;
  readonly metrics?: BridgeMetrics;
  /** Told of every request that was answered. Cheap calls only. */
  readonly onRequest?: (figures: RequestFigures) => void;
  /** What hashing a password costs. */
  readonly hashCost?: HashCost;
  /** Granary's version, for the status. */
  readonly version?: string;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
}

/** Defaults of what may be left out. */
export const BRIDGE_DEFAULTS = {
  inlineBytes: 64 * 1024,
  packMs: 30_000,
  roundMs: 15_000,
  lifecycleMs: 3600_000,
  journalMs: 5000,
};

/** Queues of jobs that bridges have. */
const JOB_QUEUES = [CONTENTS_QUEUE, LIFECYCLE_QUEUE, JOURNAL_QUEUE];
const NOT_BEGUN: ProcessStatus = { requests: { running: 0, most: 0 }, connections: 0 };

/** An S3 endpoint into the network with a REST API, and what looks after its contents. */
export class Bridge {
  private constructor(
    private readonly server: BridgeServer,
    /** Looks after contents. */
    readonly keeper: ContentKeeper,
    private readonly lifecycle: LifecycleRunner,
    /** Keeps the metadata in the network, where it is kept there. */
    readonly journal: JournalWriter | undefined,
  ) {}

  /** Start serving. @throws what Node throws when the address can't be had. */
  static async start(parts: BridgeParts): Promise<Bridge> {
    const { metadata, backend, region, logger, clock, random } = parts;
    const inlineBytes = Math.min(
      parts.inlineBytes ?? BRIDGE_DEFAULTS.inlineBytes,
      MAX_INLINE_BYTES,
    );
    const writer = new ContentWriter({ metadata, backend, inlineBytes, clock, random, logger });
    const limits = { ...DEFAULT_LIMITS, ...parts.s3Limits };
    const deps = {
      metadata,
      backend,
      writer,
      copies: new Slots(1),
      limiter: new RateLimiter(clock),
      region,
      limits,
      clock,
      random,
      logger,
    };
    const service = new S3Service(deps, parts.domains ?? [], parts.pace ?? DEFAULT_PACE);
    const { host, port, tls, serverLimits, metrics, onRequest, domains = [] } = parts;
    const begun = clock.now();
    const listening: { server?: BridgeServer } = {};
    const rest = new RestService({
      handlers: {
        ...adminHandlers({
          metadata,
          passwords: new Passwords(parts.hashCost),
          throttle: new LoginThrottle(clock),
          clock,
          random,
          logger,
        }),
        ...bucketHandlers(deps),
        ...objectHandlers(deps),
        ...statusHandlers({
          metadata,
          clock,
          version: parts.version ?? '',
          begun,
          networkReady: (signal) => backend.ready(signal),
          process: () => listening.server?.status() ?? NOT_BEGUN,
          queues: JOB_QUEUES,
        }),
      },
      metadata,
      limiter: deps.limiter,
      pace: parts.pace ?? DEFAULT_PACE,
      clock,
      logger,
    });
    const server = await BridgeServer.start({
      service,
      rest,
      domains,
      ready: async (signal) => {
        await metadata.ping(signal);
        await backend.ready(signal);
      },
      host,
      port,
      ...(tls !== undefined && { tls }),
      ...(serverLimits !== undefined && { limits: serverLimits }),
      ...(metrics !== undefined && { metrics }),
      ...(onRequest !== undefined && { onRequest }),
      logger,
      clock,
      random,
    });
    listening.server = server;
    const journal =
      parts.journal &&
      new JournalWriter({
        metadata,
        backend: parts.journal,
        roundMs: parts.journalMs ?? BRIDGE_DEFAULTS.journalMs,
        clock,
        random,
        logger,
      });
    const keeper = new ContentKeeper({
      metadata,
      backend,
      ...(journal !== undefined && { journal }),
      roundMs: parts.roundMs ?? BRIDGE_DEFAULTS.roundMs,
      packMs: parts.packMs ?? BRIDGE_DEFAULTS.packMs,
      clock,
      random,
      logger,
    });
    const lifecycle = new LifecycleRunner({
      metadata,
      roundMs: parts.lifecycleMs ?? BRIDGE_DEFAULTS.lifecycleMs,
      clock,
      random,
      logger,
    });
    keeper.start();
    lifecycle.start();
    journal?.start();
    return new Bridge(server, keeper, lifecycle, journal);
  }

  /** The endpoint. */
  get url(): string {
    return this.server.url;
  }

  /** Requests under way and connections open. */
  get load(): { readonly running: number; readonly connections: number } {
    return this.server.load;
  }

  /**
   * Serve HTTPS with another certificate from now on.
   *
   * @throws what OpenSSL says when key and certificate are none or no pair; then all stays as it was.
   */
  useCertificate(tls: TlsPair): void {
    this.server.useCertificate(tls);
  }

  /** Let requests under way end, for so long at most, and stop. */
  async close(graceMs: number): Promise<void> {
    await this.server.close(graceMs);
    await Promise.all([this.keeper.stop(), this.lifecycle.stop(), this.journal?.stop()]);
  }
}
