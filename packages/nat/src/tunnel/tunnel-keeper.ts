import {
  type Clock,
  type Logger,
  type NodeId,
  type Random,
  type TlsCredentials,
  messageOf,
  randomFraction,
} from '@granary/kad';
import { TunnelConnection, type TunnelClientLimits, type TunnelPeer } from './tunnel-connection.js';
import type { TunnelPurse } from './tunnel-accounts.js';
import type { TunnelOffer } from './tunnel-directory.js';

/** What a {@link TunnelKeeper} is made of. Times are milliseconds. */
export interface TunnelKeeperOptions {
  readonly nodeId: NodeId;
  readonly credentials: TlsCredentials;
  /** Where this node's own HTTPS server listens. */
  readonly target: { readonly host: string; readonly port: number };
  /** Finds tunnels, the best first; `TunnelDirectory.find`. */
  find(wanted: number, except: ReadonlySet<NodeId>, signal: AbortSignal): Promise<TunnelOffer[]>;
  /** Told of all addresses that tunnels lend us, whenever they change. */
  onChange(addresses: readonly string[]): void;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Tunnels kept open. Default 2. */
  readonly count?: number;
  readonly limits?: Partial<TunnelClientLimits>;
  readonly purse?: TunnelPurse;
  /** Between two looks whether strangers still reach us through a tunnel. Default 60 seconds. */
  readonly checkMs?: number;
}

/** One tunnel that is open. */
export interface OpenTunnel {
  readonly nodeId: NodeId;
  readonly address: string;
  readonly connections: number;
  readonly bytes: number;
}

/** When no tunnel could be had: doubled from the first to the last. */
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 60_000;
/** A tunnel that failed us is left alone for so long, doubled with each time that it fails. */
const FIRST_PENALTY_MS = 10_000;
const LAST_PENALTY_MS = 3_600_000;
/** Failures that are remembered. */
const REMEMBERED = 256;

/**
 * Keeps some tunnels open, and opens another as soon as one fails, so that this node can be reached
 * all the time. A tunnel counts only when a connection to its address has come back to us.
 */
export class TunnelKeeper {
  private readonly open = new Map<NodeId, TunnelConnection>();
  private readonly penalties = new Map<NodeId, { until: number; times: number }>();
  private readonly timers = new Set<unknown>();
  private readonly checkMs: number;
  private stopping = new AbortController();
  private state: 'stopped' | 'idle' | 'filling' = 'stopped';
  private again = false;
  private failures = 0;
  private told = '';

  constructor(private readonly options: TunnelKeeperOptions) {
    this.checkMs = options.checkMs ?? 60_000;
  }

  /** Whether it keeps tunnels at this time. */
  get running(): boolean {
    return this.state !== 'stopped';
  }

  /** The tunnels that are open. */
  get tunnels(): OpenTunnel[] {
    return [...this.open.values()].map(({ nodeId, address, stats }) => ({
      nodeId,
      address,
      ...stats,
    }));
  }

  /** Begin to keep tunnels. */
  start(): void {
    if (this.running) return;
    this.stopping = new AbortController();
    this.state = 'idle';
    this.failures = 0;
    this.fill();
  }

  /** Close them all. */
  stop(): void {
    if (!this.running) return;
    this.state = 'stopped';
    this.stopping.abort();
    for (const timer of this.timers) this.options.clock.clearTimeout(timer);
    this.timers.clear();
    for (const connection of this.open.values()) connection.close();
    this.open.clear();
    this.tell();
  }

  private get count(): number {
    return this.options.count ?? 2;
  }

  /** Open what is missing. */
  private fill(): void {
    if (this.state === 'stopped') return;
    if (this.state === 'filling') {
      this.again = true;
      return;
    }
    this.state = 'filling';
    const { signal } = this.stopping;
    const { logger } = this.options;
    this.search(signal)
      .catch((error: unknown) =>
        logger.warn({ error: messageOf(error) }, 'looking for tunnels failed'),
      )
      .finally(() => {
        if (signal.aborted) return;
        this.state = 'idle';
        if (this.again) {
          this.again = false;
          return this.fill();
        }
        if (this.open.size >= this.count) {
          this.failures = 0;
          return;
        }
        const pause = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.failures);
        this.failures += 1;
        this.later(() => this.fill(), pause);
      });
  }

  private async search(signal: AbortSignal): Promise<void> {
    const { find, logger } = this.options;
    const now = this.options.clock.now();
    const except = new Set(this.open.keys());
    for (const [nodeId, { until }] of this.penalties) if (until > now) except.add(nodeId);
    const missing = this.count - this.open.size;
    if (missing <= 0) return;
    const offers = await find.call(this.options, missing, except, signal);
    if (signal.aborted) return;
    logger.debug({ offers: offers.length, open: this.open.size }, 'looked for tunnels');
    const next = offers.values();
    const worker = async () => {
      for (const offer of next) {
        if (signal.aborted || this.open.size >= this.count) return;
        await this.tryOne(offer, signal);
      }
    };
    await Promise.all(Array.from({ length: missing }, worker));
  }

  private async tryOne({ contact, address }: TunnelOffer, signal: AbortSignal): Promise<void> {
    const { logger } = this.options;
    const { nodeId } = contact;
    try {
      const connection = await this.dial({ nodeId, address }, signal);
      const works = await connection.check(signal);
      if (signal.aborted || this.open.size >= this.count || this.open.has(nodeId)) {
        return connection.close();
      }
      if (!works) {
        connection.close();
        throw new Error('it does not pass strangers on to us');
      }
      this.adopt(connection);
    } catch (error) {
      if (signal.aborted) return;
      logger.info({ tunnel: nodeId, error: messageOf(error) }, 'a tunnel is of no use');
      this.punish(nodeId);
    }
  }

  private dial(tunnel: TunnelPeer, signal: AbortSignal): Promise<TunnelConnection> {
    const { nodeId, credentials, target, clock, logger, limits, purse } = this.options;
    return TunnelConnection.open({
      tunnel,
      nodeId,
      credentials,
      target,
      clock,
      logger,
      signal,
      ...(limits && { limits }),
      ...(purse && { purse }),
    });
  }

  private adopt(connection: TunnelConnection): void {
    const { logger, clock } = this.options;
    const { nodeId, address } = connection;
    const since = clock.now();
    this.open.set(nodeId, connection);
    logger.info({ tunnel: nodeId, address }, 'reachable through a tunnel');
    this.tell();
    this.watch(connection);
    void connection.going.then(() => this.drop(connection));
    void connection.closed.then((reason) => {
      if (!this.running) return;
      logger.info({ tunnel: nodeId, address, reason: reason.message }, 'a tunnel has ended');
      // One that ended well after long does not have to be avoided for long.
      if (clock.now() - since > LAST_RETRY_MS) this.penalties.delete(nodeId);
      this.punish(nodeId);
      this.drop(connection);
    });
  }

  /** Not to be used any more: what still goes through it may end. */
  private drop(connection: TunnelConnection): void {
    if (this.open.get(connection.nodeId) !== connection) return;
    this.open.delete(connection.nodeId);
    this.tell();
    this.fill();
  }

  /** Look now and then whether the tunnel still passes strangers on. */
  private watch(connection: TunnelConnection): void {
    const pause = this.checkMs * (0.75 + randomFraction(this.options.random) / 2);
    this.later(() => {
      if (this.open.get(connection.nodeId) !== connection) return;
      void connection.check(this.stopping.signal).then((works) => {
        if (works) return this.watch(connection);
        if (this.running) connection.close();
      });
    }, pause);
  }

  private punish(nodeId: NodeId): void {
    const times = (this.penalties.get(nodeId)?.times ?? 0) + 1;
    const pause = Math.min(LAST_PENALTY_MS, FIRST_PENALTY_MS * 2 ** (times - 1));
    this.penalties.delete(nodeId);
    this.penalties.set(nodeId, { until: this.options.clock.now() + pause, times });
    if (this.penalties.size <= REMEMBERED) return;
    this.penalties.delete(this.penalties.keys().next().value!);
  }

  private tell(): void {
    const addresses = this.tunnels.map(({ address }) => address);
    if (addresses.join() === this.told) return;
    this.told = addresses.join();
    this.options.onChange(addresses);
  }

  private later(run: () => void, ms: number): void {
    const { clock } = this.options;
    const timer = clock.setTimeout(() => {
      this.timers.delete(timer);
      run();
    }, ms);
    this.timers.add(timer);
  }
}
