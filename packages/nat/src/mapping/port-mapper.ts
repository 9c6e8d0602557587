import {
  type Clock,
  type Logger,
  type Random,
  fromHex,
  messageOf,
  randomFraction,
  silentLogger,
  systemClock,
  systemRandom,
  toHex,
} from '@granary/kad';
import { NatError, type NatErrorCode } from '../errors.js';
import { findDefaultGateway } from './default-gateway.js';
import { deadline } from './deadline.js';
import { randomPort } from './external-port.js';
import {
  type Gateway,
  MAPPING_PROTOCOLS,
  type Mapping,
  type MappingClient,
  type MappingEnvironment,
  type MappingProtocol,
} from './mapping.js';
import { type MappingEntry, MappingFile } from './mapping-file.js';
import { NatPmpClient } from './nat-pmp-client.js';
import { PcpClient } from './pcp-client.js';
import { PCP_NONCE_BYTES } from './pcp-messages.js';
import { UpnpClient } from './upnp-client.js';

/** What a {@link PortMapper} is made of. */
export interface PortMapperOptions {
  /** Where mappings are written down before a router is asked for them. */
  readonly file: string;
  /** Our port that the mapping leads to. */
  readonly internalPort: number;
  /** Seconds to ask for. Default 3600. */
  readonly lifetimeSeconds?: number;
  /** What to try, in this order. Default all. */
  readonly protocols?: readonly MappingProtocol[];
  /** Finds the default gateway; by default in the system's routing table. */
  readonly findGateway?: () => Promise<Gateway | undefined>;
  readonly logger?: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Ports of the router, for tests. */
  readonly ports?: MappingEnvironment['ports'];
}

/** How asking by one protocol went, the last time. */
export interface MappingAttempt {
  readonly protocol: MappingProtocol;
  /** Undefined when the port was mapped. */
  readonly error?: { readonly code: NatErrorCode; readonly message: string };
}

const LIFETIME_SECONDS = 3_600;
/** For all protocols together, and for removing one mapping. */
const ATTEMPT_MS = 30_000;
const REMOVE_MS = 4_000;
/** However long the lease: a router that restarts forgets, and this is when we notice. */
const LONGEST_RENEWAL_MS = 10 * 60_000;
const SHORTEST_RENEWAL_MS = 15_000;
/** After a failure: doubled from the first to the last. */
const FIRST_RETRY_MS = 15_000;
const LAST_RETRY_MS = 15 * 60_000;

/**
 * Keeps one port of ours mapped on the router that is our default gateway: asks by PCP, NAT-PMP and
 * UPnP, renews, notices when what the router gives changes, and removes the mapping when it stops. A
 * mapping that a crash left is found in the file, and used again or removed.
 */
export class PortMapper {
  private readonly options: PortMapperOptions;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly logger: Logger;
  private readonly stopping = new AbortController();
  private readonly listeners = new Set<(mapping: Mapping | undefined) => void>();
  private file: MappingFile | undefined;
  private entry: MappingEntry | undefined;
  private client: { readonly gateway: Gateway; readonly client: MappingClient } | undefined;
  private current: Mapping | undefined;
  private expiresAt = 0;
  private failures = 0;
  private timer: unknown;
  private work: Promise<void> = Promise.resolve();
  private lastGateway: Gateway | undefined;
  private tried: readonly MappingAttempt[] = [];

  constructor(options: PortMapperOptions) {
    this.options = options;
    this.clock = options.clock ?? systemClock;
    this.random = options.random ?? systemRandom;
    this.logger = options.logger ?? silentLogger;
  }

  /** The mapping that the router has given us, while it stands. */
  get mapping(): Mapping | undefined {
    return this.current;
  }

  /** How each protocol that was tried went, the last time. */
  get attempts(): readonly MappingAttempt[] {
    return this.tried;
  }

  /** The router that was asked last; undefined when there is no default gateway. */
  get gateway(): Gateway | undefined {
    return this.lastGateway;
  }

  /** Be told of each mapping that is new or other than before, and of its loss. */
  onChange(listener: (mapping: Mapping | undefined) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /**
   * Ask for the mapping, the first time; then keep it. That there is none is no error: it is tried
   * again in the background.
   *
   * @throws NatError NAT_BAD_FILE.
   */
  async start(): Promise<void> {
    this.file = await MappingFile.open(this.options.file);
    await this.refresh();
  }

  /** Ask again now: the network has changed, or the mapping does not seem to work. */
  refresh(): Promise<void> {
    this.work = this.work.then(async () => {
      if (this.stopping.signal.aborted) return;
      this.clock.clearTimeout(this.timer);
      const ok = await this.attempt().catch((error: unknown) => {
        this.logger.warn({ error: messageOf(error) }, 'mapping a port failed');
        return false;
      });
      this.schedule(ok);
    });
    return this.work;
  }

  /** Remove the mapping, and end. */
  async stop(): Promise<void> {
    if (this.stopping.signal.aborted) return this.work;
    this.clock.clearTimeout(this.timer);
    this.stopping.abort(new NatError('NAT_ABORTED', 'the port mapper stops'));
    this.work = this.work.then(async () => {
      const { entry, client } = this;
      this.set(undefined);
      if (entry !== undefined && client !== undefined) await this.remove(entry, client.client);
      this.entry = undefined;
    });
    return this.work;
  }

  private schedule(ok: boolean): void {
    if (this.stopping.signal.aborted) return;
    this.failures = ok ? 0 : this.failures + 1;
    const lease = (this.expiresAt - this.clock.now()) / 2;
    const pause = ok
      ? Math.max(SHORTEST_RENEWAL_MS, Math.min(LONGEST_RENEWAL_MS, lease))
      : Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(this.failures - 1, 10));
    // Nodes behind one router, or of one power cut, should not ask at the same moment.
    const jitter = 0.8 + 0.2 * randomFraction(this.random);
    this.timer = this.clock.setTimeout(() => void this.refresh(), pause * jitter);
  }

  private async attempt(): Promise<boolean> {
    const gateway = await (this.options.findGateway ?? findDefaultGateway)();
    this.lastGateway = gateway;
    if (gateway === undefined) {
      this.tried = [];
      this.set(undefined);
      return false;
    }
    await this.removeStale(gateway);
    const limit = deadline(this.clock, this.stopping.signal, ATTEMPT_MS, 'mapping a port');
    const tried: MappingAttempt[] = [];
    try {
      for (const protocol of this.order(gateway)) {
        try {
          await this.ask(gateway, protocol, limit.signal);
          tried.push({ protocol });
          return true;
        } catch (error) {
          if (!(error instanceof NatError)) throw error;
          tried.push({ protocol, error: { code: error.code, message: error.message } });
          this.logger.debug({ protocol, error: error.message }, 'a router maps no port by this');
          if (limit.signal.aborted) break;
        }
      }
    } finally {
      limit.clear();
      this.tried = tried;
    }
    // What was granted stands until it runs out, or our address there is another.
    const moved = this.current?.internalAddress !== gateway.localAddress;
    if (moved || this.clock.now() >= this.expiresAt) this.set(undefined);
    return false;
  }

  /** The protocol that worked, or worked before a crash, comes first. */
  private order(gateway: Gateway): MappingProtocol[] {
    const all = this.options.protocols ?? MAPPING_PROTOCOLS;
    const known = this.entryFor(gateway)?.protocol;
    return known === undefined || !all.includes(known)
      ? [...all]
      : [known, ...all.filter((protocol) => protocol !== known)];
  }

  private entryFor(gateway: Gateway, protocol?: MappingProtocol): MappingEntry | undefined {
    return this.file!.entries.find(
      (entry) =>
        entry.gateway === gateway.address &&
        entry.internalAddress === gateway.localAddress &&
        entry.internalPort === this.options.internalPort &&
        (protocol === undefined || entry.protocol === protocol),
    );
  }

  private async ask(
    gateway: Gateway,
    protocol: MappingProtocol,
    signal: AbortSignal,
  ): Promise<void> {
    const file = this.file!;
    const { internalPort, lifetimeSeconds = LIFETIME_SECONDS } = this.options;
    const known = this.entryFor(gateway, protocol);
    const entry = known ?? {
      protocol,
      gateway: gateway.address,
      internalAddress: gateway.localAddress,
      internalPort,
      externalPort: randomPort(this.random),
      nonce: toHex(this.random(PCP_NONCE_BYTES)),
      tag: `granary ${toHex(this.random(6))}`,
    };
    if (known === undefined) await file.put(entry);
    const client = this.clientFor(gateway, protocol);
    try {
      const { externalPort, tag } = entry;
      const nonce = fromHex(entry.nonce);
      const mapping = await client.map({
        internalPort,
        externalPort,
        lifetimeSeconds,
        nonce,
        tag,
        signal,
      });
      const granted = { ...entry, externalPort: mapping.externalPort };
      if (granted.externalPort !== externalPort) await file.put(granted);
      this.entry = granted;
      this.client = { gateway, client };
      const seconds = mapping.lifetimeSeconds === 0 ? Infinity : mapping.lifetimeSeconds;
      this.expiresAt = this.clock.now() + seconds * 1000;
      this.set(mapping);
    } catch (error) {
      // A router that refuses, or does not know the protocol, has made nothing. Broken off in the
      // middle, it may have.
      const unsure = known !== undefined || signal.aborted;
      if (!unsure) await file.remove(entry);
      else if (this.stopping.signal.aborted) await this.remove(entry, client);
      throw error;
    }
  }

  private clientFor(gateway: Gateway, protocol: MappingProtocol): MappingClient {
    const known = this.client;
    if (
      known?.client.protocol === protocol &&
      known.gateway.address === gateway.address &&
      known.gateway.localAddress === gateway.localAddress
    ) {
      return known.client;
    }
    return mappingClient(protocol, gateway, {
      clock: this.clock,
      random: this.random,
      logger: this.logger,
      ...(this.options.ports !== undefined && { ports: this.options.ports }),
    });
  }

  /**
   * Remove mappings of this router that lead to another port or address than ours now. Those of
   * other routers wait until we are there again.
   */
  private async removeStale(gateway: Gateway): Promise<void> {
    const stale = this.file!.entries.filter(
      (entry) =>
        entry.gateway === gateway.address &&
        (entry.internalAddress !== gateway.localAddress ||
          entry.internalPort !== this.options.internalPort),
    );
    for (const entry of stale) {
      // PCP and NAT-PMP know a host by its address: with another one, the mapping can only run out.
      const reachable = entry.protocol === 'upnp' || entry.internalAddress === gateway.localAddress;
      if (reachable) await this.remove(entry, this.clientFor(gateway, entry.protocol));
      else await this.file!.remove(entry);
      if (this.stopping.signal.aborted) return;
    }
  }

  /** Remove a mapping; when that fails it stays in the file, for the next time. */
  private async remove(entry: MappingEntry, client: MappingClient): Promise<void> {
    // What ends us must not end this, too; it has a limit of its own.
    const never = new AbortController().signal;
    const limit = deadline(this.clock, never, REMOVE_MS, 'removing a mapping');
    const { internalPort, externalPort, tag, protocol } = entry;
    try {
      const nonce = fromHex(entry.nonce);
      await client.unmap({ internalPort, externalPort, nonce, tag, signal: limit.signal });
      await this.file!.remove(entry);
      this.logger.debug({ protocol, externalPort }, 'a port mapping was removed');
    } catch (error) {
      this.logger.warn(
        { protocol, externalPort, error: messageOf(error) },
        'a port mapping could not be removed',
      );
    } finally {
      limit.clear();
    }
  }

  private set(mapping: Mapping | undefined): void {
    const before = this.current;
    this.current = mapping;
    const same =
      before?.externalPort === mapping?.externalPort &&
      before?.externalAddress === mapping?.externalAddress &&
      before?.internalAddress === mapping?.internalAddress;
    if (same) return;
    if (mapping === undefined) this.logger.info({}, 'no port is mapped on the router any more');
    else {
      const { protocol, externalAddress, externalPort, internalPort } = mapping;
      this.logger.info(
        { protocol, externalAddress, externalPort, internalPort },
        'the router has mapped a port',
      );
    }
    for (const listener of this.listeners) listener(mapping);
  }
}

/** Asks a router by a protocol. */
export function mappingClient(
  protocol: MappingProtocol,
  gateway: Gateway,
  env: MappingEnvironment,
): MappingClient {
  switch (protocol) {
    case 'pcp':
      return new PcpClient(gateway, env);
    case 'nat-pmp':
      return new NatPmpClient(gateway, env);
    case 'upnp':
      return new UpnpClient(gateway, env);
  }
}
